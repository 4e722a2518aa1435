package inodes

import (
	"os"
	"path/filepath"
	"testing"

	"imprint/internal/hosttree"
	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// Further names are links, and user attributes are kept.
func TestComplete(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("d/a")
	write("outside/x")
	for to, from := range map[string]string{"d/b": "d/a", "c": "d/a", "d/x": "outside/x"} {
		if err := os.Link(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "outside")); err != nil {
		t.Fatal(err)
	}
	hasXattrs := unix.Lsetxattr(filepath.Join(dir, "d"), "user.b", []byte("2"), 0) == nil
	if hasXattrs {
		if err := unix.Lsetxattr(filepath.Join(dir, "d"), "user.a", nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	n, err := new(hosttree.Scanner).Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n, err = Complete(dir, n); err != nil {
		t.Fatal(err)
	}
	b := tree.NewBuilder(n.Attr)
	if err := b.Add("/", n, ""); err != nil {
		t.Fatal(err)
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	first := tr.Find("/c")
	if first.Kind() != tree.File || tr.Find("/d/a").Inode() != first || tr.Find("/d/b").Inode() != first || tr.Find("/d/x").Kind() != tree.File {
		t.Error("hard links are wrong")
	}
	x := tr.Find("/d").Attr.Xattrs
	if hasXattrs && (len(x) != 2 || x[0].Name != "user.a" || x[1].Name != "user.b" || string(x[1].Value) != "2") {
		t.Errorf("extended attributes are %v", x)
	}
	if _, err := Complete(filepath.Join(dir, "none"), n); err == nil {
		t.Error("no error")
	}
}
