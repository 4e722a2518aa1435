package source

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/closure"
	"imprint/internal/cas"
	"imprint/internal/tree"
)

// repeating has two contents twice, with others between them, and empty files.
func repeating() map[string]string {
	long := strings.Repeat("0123456789abcdef", 60_000)
	return map[string]string{
		"a": "text", "d": long, "e": "test", "f": "", "g": strings.Repeat("between", 100_000), "h": long, "i": "text", "j": "", "k": strings.Repeat("fedcba9876543210", 60_000),
	}
}

// unified compares the files of an item, as before it is written.
func (l *listed) unified(c *Cache, item *closure.Item) *tree.Node {
	l.Helper()
	n, err := c.Item(l.Context(), item.Info.Path)
	if err != nil {
		l.Fatal(err)
	}
	end, err := c.Stream(item.Info.Path).Compare(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	defer end()
	if err := closure.Unify(l.Context(), n, closure.AnySize, c.Stream(item.Info.Path).Again); err != nil {
		l.Fatal(err)
	}
	return n
}

// linked returns the names of the links in a directory.
func linked(n *tree.Node) (names string) {
	for _, c := range n.Children() {
		if c.Kind() == tree.Link {
			names += c.Name
		}
	}
	return names
}

// An archive with equal files passes twice: to compare them, and to be written. Nothing is fetched for that, nor kept.
func TestRepeats(t *testing.T) {
	for _, compression := range []string{"zstd", "none", "gzip"} {
		l := newListedOf(t, compression, repeating())
		l.compares = true
		c, item, err := l.realise()
		if err != nil {
			t.Fatal(err)
		}
		if got := linked(l.unified(c, item)); got != "hij" {
			t.Errorf("%s: links %q", compression, got)
		}
		for range 2 {
			if err := l.hash(c, item); err != nil {
				t.Errorf("%s: %v", compression, err)
			}
		}
		if all := kept(t, l.keep); len(all) > 0 {
			t.Errorf("%s: kept %q", compression, all)
		}
		if c.heap.file != nil != (compression == "gzip") {
			t.Errorf("%s: an archive is apart: %t", compression, c.heap.file != nil)
		}
		n, _ := c.Item(t.Context(), item.Info.Path)
		for name, want := range repeating() { // in any order, from the build store
			text, err := tree.ReadAll(child(n, name).Inode().Blob(), 1<<20)
			if err != nil || string(text) != want {
				t.Errorf("%s: %s has %d bytes, %v", compression, name, len(text), err)
			}
		}
	}
}

func child(n *tree.Node, name string) *tree.Node {
	for _, c := range n.Children() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Files that were equal when they were compared, and are not when they are written, although the archive then has its hash, are an error.
func TestRepeatsChanged(t *testing.T) {
	l := newListedOf(t, "zstd", repeating())
	l.compares = true
	right := l.files["/"+l.name]
	l.change("test\x00", "text\x00") // "e", which is not equal to "a"
	c, item, err := l.realise()
	if err != nil {
		t.Fatal(err)
	}
	if got := linked(l.unified(c, item)); got != "ehij" {
		t.Fatalf("links %q", got)
	}
	if err := os.WriteFile(filepath.Join(l.dir, l.name), right, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := l.hash(c, item); !errors.Is(err, cas.ErrMismatch) || !says(err, "has changed since its files were compared") {
		t.Errorf("written after a change: %v", err)
	}
}

// A damaged archive is an error when its files are compared.
func TestRepeatsDamaged(t *testing.T) {
	l := newListedOf(t, "zstd", repeating())
	l.compares = true
	l.files["/"+l.name] = l.files["/"+l.name][:100]
	c, item, err := l.realise()
	if err != nil {
		t.Fatal(err)
	}
	n, _ := c.Item(t.Context(), item.Info.Path)
	end, err := c.Stream(item.Info.Path).Compare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if err := closure.Unify(t.Context(), n, closure.AnySize, nil); !errors.Is(err, cas.ErrMismatch) || !says(err, "unpack "+l.url) {
		t.Errorf("compared: %v", err)
	}
}
