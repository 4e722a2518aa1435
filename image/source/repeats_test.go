package source

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/closure"
	"imprint/internal/cas"
	"imprint/internal/hosttest"
	"imprint/internal/tree"

	"pgregory.net/rapid"
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

// Files that are compared with other bytes than they are written with, although the archive then has its hash, are an error: whether they would become
// links, or would not.
func TestRepeatsChanged(t *testing.T) {
	for _, change := range []struct{ from, to, linked string }{
		{"test\x00", "text\x00", "ehij"}, // "e", which is not equal to "a"
		{"text\x00", "tent\x00", "hj"},   // "a", to which "i" is equal
	} {
		l := newListedOf(t, "zstd", repeating())
		l.compares = true
		right := l.files["/"+l.name]
		l.change(change.from, change.to)
		c, item, err := l.realise()
		if err != nil {
			t.Fatal(err)
		}
		if got := linked(l.unified(c, item)); got != change.linked {
			t.Fatalf("links %q", got)
		}
		if err := os.WriteFile(filepath.Join(l.dir, l.name), right, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := l.hash(c, item); !errors.Is(err, cas.ErrMismatch) || !says(err, "has changed since its files were compared") {
			t.Errorf("%q: written after a change: %v", change.to, err)
		}
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

// The next place of a byte is the nearest one from an offset on, of all places of its content.
func TestRepeatsAhead(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		contents, equal, end := make([]*repeated, rapid.IntRange(1, 5).Draw(t, "contents")), map[int64]*repeated{}, int64(0)
		for range rapid.IntRange(1, 40).Draw(t, "places") {
			k := rapid.IntRange(0, len(contents)-1).Draw(t, "content")
			if contents[k] == nil {
				contents[k] = &repeated{size: rapid.Int64Range(1, 9).Draw(t, "size")}
				equal[end] = contents[k]
			}
			contents[k].at = append(contents[k].at, end)
			end += contents[k].size + rapid.Int64Range(0, 3).Draw(t, "gap")
		}
		s := &streamed{repeats: repeatsOf(equal)}
		off, at := rapid.Int64Range(0, end).Draw(t, "off"), rapid.Int64Range(0, end).Draw(t, "at")
		want := int64(-1)
		for _, of := range equal {
			for _, place := range of.at {
				if within := off - place; within >= 0 && within < of.size {
					k := slices.IndexFunc(of.at, func(place int64) bool { return place+within >= at })
					if k >= 0 {
						want = of.at[k] + within
					}
				}
			}
		}
		if next, found := s.ahead(off, at); found != (want >= 0) || found && next != want {
			t.Errorf("%d, %t, want %d", next, found, want)
		}
	})
}

// A content that is read once more while the archive passes is the right one, and so is everything after it: from the build store, if it has passed.
func TestRepeatsRandomly(t *testing.T) {
	l := newListedOf(t, "zstd", repeating())
	l.compares = true
	c, item, err := l.realise()
	if err != nil {
		t.Fatal(err)
	}
	n := l.unified(c, item)
	end, err := c.Stream(item.Info.Path).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "d", "d", "e", "g", "d", "h", "a", "i", "k", "h"} {
		text, err := tree.ReadAll(child(n, name).Inode().Blob(), 1<<20)
		if err != nil || string(text) != repeating()[name] {
			t.Errorf("%s has %d bytes, %v", name, len(text), err)
		}
	}
	if err := end(true); err != nil {
		t.Error(err)
	}
}
