package nixtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// target makes what an image should hold with Nix: it copies the closure and adds the roots.
func target(t *testing.T, s *Source, roots ...string) Target {
	t.Helper()
	n := newNix(t, filepath.Join(tempDir(t), "target"))
	for _, r := range roots {
		args := []string{"copy", "--no-check-sigs", "--from", "local?root=" + s.Root, "--to", "local?root=" + n.root, r}
		if strings.HasSuffix(r, ".drv") {
			args = append(args, "--derivation") // the file itself, not its outputs
		}
		n.must(t, "nix", args...)
	}
	state := filepath.Join(n.root, "nix/var/nix")
	db := filepath.Join(state, "db/db.sqlite")
	hosttest.Run(t, "sqlite3", db, "pragma journal_mode = delete; update ValidPaths set registrationTime = 1")
	for i, r := range roots {
		if err := os.Symlink(r, filepath.Join(state, "gcroots", fmt.Sprint("root-", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(state, "gcroots/profiles")); err != nil {
		t.Fatal(err)
	}
	return Target{Tree: Tree{Root: n.root}, Roots: roots, Epoch: 1}
}

// judged runs Judge and returns its failures.
func judged(t *testing.T, s *Source, target Target) string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Judge(r, target)
	}()
	<-done
	return strings.Join(r.errors, "\n")
}

// A recorder keeps the failures of a test.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Error(args ...any) { r.errors = append(r.errors, fmt.Sprint(args...)) }
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestJudge(t *testing.T) {
	s := Make(t, Options{Newline: true})
	if n := len(s.Closure(t, s.System, s.Extra)); n < 250 {
		t.Errorf("a closure of %d items only", n)
	}
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, g Target)
		want   string // in the failures; "" for none
	}{
		{"good", func(*testing.T, Target) {}, ""},
		{"content", func(t *testing.T, g Target) { write(t, g.Root+s.System+"/contents", "other") }, "was modified!"},
		{"mode", func(t *testing.T, g Target) { check(t, os.Chmod(g.Root+s.Extra+"/uses", 0o644)) }, "has mode 100644"},
		{"time", func(t *testing.T, g Target) { hosttest.Run(t, "touch", "-d", "@2", g.Root+s.Extra+"/uses") }, "was modified at 2.0"},
		{"foreign file", func(t *testing.T, g Target) { write(t, g.Root+"/nix/store/stray", "") }, `too many ["/nix/store/stray"]`},
		{"registration time", sql("update ValidPaths set registrationTime = 2 where id = 1"), "registered at a time other than"},
		{"size", sql("update ValidPaths set narSize = narSize + 8 where id = 1"), "items: "},
		{"signature", sql("update ValidPaths set sigs = null"), "signatures: "},
		{"reference", sql("delete from Refs where rowid = 7"), "references: "},
		{"outputs", sql("delete from DerivationOutputs where id = 'doc'"), "outputs: "},
		{"schema", sql("drop index IndexReference"), "schema:"},
		{"link", func(t *testing.T, g Target) { check(t, os.Symlink("/tmp/x", g.Root+"/nix/var/nix/gcroots/x")) }, "gcroots/x leads to /tmp/x"},
		{"no root", func(t *testing.T, g Target) { check(t, os.Remove(g.Root+"/nix/var/nix/gcroots/root-0")) },
			"does not find the root " + s.System},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := target(t, s, s.System, s.Extra, s.Derivation)
			c.damage(t, g)
			got := judged(t, s, g)
			if got == "" != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("judged: %s\nwant: %s", got, c.want)
			}
		})
	}
}

func sql(statement string) func(*testing.T, Target) {
	return func(t *testing.T, g Target) {
		hosttest.Run(t, "sqlite3", g.Root+"/nix/var/nix/db/db.sqlite", statement)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	check(t, os.Chmod(filepath.Dir(path), 0o755))
	if err := os.Chmod(path, 0o644); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	check(t, os.WriteFile(path, []byte(text), 0o644))
}

// A tree that went through a file system passes, mounted or extracted by debugfs.
func TestExtract(t *testing.T) {
	hosttest.Need(t, "mke2fs")
	s := Make(t, Options{Large: true})
	g := target(t, s, s.System)
	image := filepath.Join(t.TempDir(), "image")
	const offset, length = 1 << 20, 160 << 20
	check(t, os.WriteFile(image, nil, 0o600))
	check(t, os.Truncate(image, offset+length))
	hosttest.Run(t, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-d", g.Root, "-E", fmt.Sprint("root_owner=0:0,offset=", offset),
		image, fmt.Sprint(length>>12))
	g.Tree = Extract(t, image, Region{offset, length})
	s.Judge(t, g)
}
