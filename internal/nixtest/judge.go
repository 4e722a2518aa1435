package nixtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A Target is a store that was made from a Source.
type Target struct {
	Tree
	Roots []string // store paths whose closure it should hold, rooted
	Epoch int64    // registration time of every item

	// Unsigned is set where the items came from a registration file, which knows no signatures and content addresses.
	Unsigned bool
}

type judge struct {
	testing.TB
	Target
	source  *Source
	nix     nix
	closure []string // sorted
}

// Judge fails the test unless the target holds just the closure of its roots, registered like in the source, with the metadata of store
// items, and real Nix finds every item intact and keeps it. Nix writes to the target, and at the end the roots are gone.
func (s *Source) Judge(t testing.TB, target Target) {
	t.Helper()
	j := judge{t, target, s, newNix(t, target.Root).alone(), slices.Sorted(slices.Values(s.Closure(t, target.Roots...)))}
	j.database()
	j.links()
	j.files()
	j.verify("as it comes")
	j.roots()
	j.collect()
	j.verify("after a collection")
	j.unrooted()
}

func (j judge) state(names ...string) string {
	return filepath.Join(append([]string{j.Root, "nix/var/nix"}, names...)...)
}

// equal compares two lists of store paths.
func (j judge) equal(what string, got, want []string) {
	j.Helper()
	if extra, missing := without(got, want), without(want, got); len(extra)+len(missing) > 0 {
		j.Errorf("%s: %d, right are %d; too many %q, missing %q", what, len(got), len(want), first(extra), first(missing))
	}
}

func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// first is what of a list fits a message.
func first(list []string) []string { return list[:min(5, len(list))] }

// links looks for symlinks in the state directory that lead out of the target, such as to where it was staged.
func (j judge) links() {
	j.Helper()
	err := filepath.WalkDir(j.state(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() != fs.ModeSymlink {
			return err
		}
		to, err := os.Readlink(path)
		if filepath.IsAbs(to) && !strings.HasPrefix(to, "/nix/") && !strings.HasPrefix(to, "/run/") {
			j.Errorf("%s leads to %s", strings.TrimPrefix(path, j.Root), to)
		}
		return err
	})
	if err != nil {
		j.Error(err)
	}
}

// verify has Nix hash everything. It ends well, but says so, where it has mended the database or dropped what it did not find.
func (j judge) verify(when string) {
	j.Helper()
	out, complaints, err := j.nix.run("nix-store", "--verify", "--check-contents")
	said := out + complaints
	for _, bad := range []string{"modified!", "disappeared", "not in the Nix store", "updating size", "fixing missing", "error:"} {
		if strings.Contains(said, bad) {
			j.Errorf("nix-store --verify --check-contents %s: %s", when, said)
		}
	}
	if err != nil {
		j.Errorf("nix-store --verify --check-contents %s: %v: %s", when, err, said)
	}
	j.equal("valid paths after --verify "+when, j.valid(), j.closure)
}

func (j judge) valid() []string {
	return lines(j.sqlite(j.state("db/db.sqlite"), "select path from ValidPaths order by path"))
}

// roots asks Nix which roots it finds.
func (j judge) roots() {
	j.Helper()
	found := j.nix.must(j, "nix-store", "--gc", "--print-roots")
	for _, r := range j.Roots {
		if !strings.Contains(found, " -> "+r+"\n") {
			j.Errorf("Nix does not find the root %s among\n%s", r, found)
		}
	}
}

func (j judge) dead() []string {
	return slices.Sorted(slices.Values(lines(j.nix.must(j, "nix-store", "--gc", "--print-dead"))))
}

// collect adds an item that nothing roots, and has Nix collect garbage: just that one goes.
func (j judge) collect() {
	j.Helper()
	j.equal("dead", j.dead(), nil)
	file := filepath.Join(j.TempDir(), "garbage")
	if err := os.WriteFile(file, []byte("garbage\n"), 0o600); err != nil {
		j.Fatal(err)
	}
	garbage := strings.TrimSpace(j.nix.must(j, "nix-store", "--add", file))
	j.equal("dead with garbage", j.dead(), []string{garbage})
	j.nix.must(j, "nix-store", "--gc")
	j.equal("in the store after a collection", j.stored(), j.closure)
}

// stored is what lies in the store directory.
func (j judge) stored() []string {
	j.Helper()
	entries, err := os.ReadDir(filepath.Join(j.Root, "nix/store"))
	if err != nil {
		j.Fatal(err)
	}
	var paths []string
	for _, e := range entries {
		if e.Name() != ".links" {
			paths = append(paths, "/nix/store/"+e.Name())
		}
	}
	return paths
}

// unrooted is the counter-check: without the roots everything is dead, so it was they that kept it.
func (j judge) unrooted() {
	j.Helper()
	for _, dir := range []string{"gcroots", "profiles"} {
		if err := os.RemoveAll(j.state(dir)); err != nil {
			j.Fatal(err)
		}
		if err := os.Mkdir(j.state(dir), 0o755); err != nil {
			j.Fatal(err)
		}
	}
	j.equal("dead without roots", j.dead(), j.closure)
}

func lines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}
