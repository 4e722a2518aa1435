package nixtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A Target is a store made from a Source.
type Target struct {
	Tree
	Roots []string // store paths that are GC roots; the store holds their closure
	Epoch int64    // registration time of every item

	// Unsigned is set if the items come from a registration, which has no signatures and no content addresses.
	Unsigned bool
}

type judge struct {
	testing.TB
	Target
	source  *Source
	nix     nix
	closure []string // sorted
}

// Judge fails the test unless the target holds exactly the closure of its roots, registered as in the source, with the metadata of store
// items, and Nix finds every item intact and does not collect any. Nix writes to the target, and Judge removes the roots at the end.
func (s *Source) Judge(t testing.TB, target Target) {
	t.Helper()
	j := judge{t, target, s, newNix(t, target.Root).alone(), slices.Sorted(slices.Values(s.Closure(t, target.Roots...)))}
	j.database()
	j.links()
	j.files()
	j.verify("at first")
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
		j.Errorf("%s: %d, want %d; too many %q, missing %q", what, len(got), len(want), first(extra), first(missing))
	}
}

func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// first returns as much of a list as fits a message.
func first(list []string) []string { return list[:min(5, len(list))] }

// links checks that no symlink in the state directory leads out of the target, for example to where it was staged.
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

// verify has Nix hash everything. Nix succeeds even if it has repaired the database or dropped missing items, but reports that.
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

// roots checks that Nix finds the roots.
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

// collect adds an item without a root and has Nix collect garbage, which removes only that one.
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

// stored returns the store paths in the store directory.
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

// unrooted is the negative control: without roots everything is dead.
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
