package source

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/closure"
	"imprint/closure/nar"
	"imprint/internal/cas"
	"imprint/internal/tree"
)

// A listed world is a cache in a directory, with one item that has a listing.
type listed struct {
	*world
	dir, keep   string
	compares    bool   // whether the files of items are compared before they are written
	name        string // of the file with the archive
	root        map[string]any
	archive     []byte
	compression string
}

// newListed makes an item with two files, of which the second is long.
func newListed(t *testing.T) *listed { return newListedAs(t, "zstd") }

// newListedAs is newListed with a compression.
func newListedAs(t *testing.T, compression string) *listed {
	t.Helper()
	return newListedOf(t, compression, map[string]string{"a": "text", "b": strings.Repeat("0123456789abcdef", 100_000)})
}

// newListedOf makes an item with files, of which "b" may be executed, and a symlink.
func newListedOf(t *testing.T, compression string, files map[string]string) *listed {
	t.Helper()
	l := &listed{world: newWorld(t), dir: t.TempDir(), keep: filepath.Join(t.TempDir(), "keep")}
	kids, entries := []*tree.Node(nil), map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		mode := uint16(0)
		if name == "b" {
			mode = 0o555
		}
		kids = append(kids, tree.NewFile(name, closure.CanonicalAttr(tree.File, mode), tree.Text(files[name])))
		entries[name] = map[string]any{"type": "regular", "size": len(files[name]), "executable": name == "b"}
	}
	kids = append(kids, tree.NewSymlink("c", closure.CanonicalAttr(tree.Symlink, 0), "b"))
	entries["c"] = map[string]any{"type": "symlink", "target": "b"}
	node := tree.NewDir("", closure.CanonicalAttr(tree.Dir, 0), kids)
	var archive bytes.Buffer
	if err := nar.Write(&archive, node, func(w io.Writer, n *tree.Node) error { return tree.Copy(t.Context(), w, n.Blob(), nil) }); err != nil {
		t.Fatal(err)
	}
	l.archive, l.compression = archive.Bytes(), compression
	l.name = l.addArchive("x", compression, l.archive).URL
	l.root = map[string]any{"type": "directory", "entries": entries}
	return l
}

// entry returns an entry of the listing.
func (l *listed) entry(name string) map[string]any {
	return l.root["entries"].(map[string]any)[name].(map[string]any)
}

// realise writes the files of the cache and fetches the closure of the item.
func (l *listed) realise() (*Cache, *closure.Item, error) {
	l.Helper()
	text, err := json.Marshal(map[string]any{"version": 1, "root": l.root})
	if err != nil {
		l.Fatal(err)
	}
	l.put("/"+digits(path(l, "x"))+".ls", text)
	for name, content := range l.files {
		file := filepath.Join(l.dir, name)
		os.MkdirAll(filepath.Dir(file), 0o755)
		if err := os.WriteFile(file, content, 0o644); err != nil {
			l.Fatal(err)
		}
	}
	l.url = "file://" + l.dir
	c, err := l.openWith(CacheOptions{Keep: l.keep, Keys: trusted(l.T), Scratch: l.dir, Compares: func(*tree.Node) bool { return l.compares }})
	if err != nil {
		l.Fatal(err)
	}
	all, err := closureOf(l.T, "x", c)
	if err != nil {
		return c, nil, err
	}
	return c, &all.Items[0], nil
}

// hash reads an item as it is written.
func (l *listed) hash(c *Cache, item *closure.Item) error {
	l.Helper()
	n, err := c.Item(l.Context(), item.Info.Path)
	if err != nil {
		l.Fatal(err)
	}
	begin := c.Stream(item.Info.Path)
	if begin == nil {
		l.Fatal("it is not streamed")
	}
	end, err := begin.Begin(l.Context())
	if err != nil {
		return err
	}
	hash, _, err := nar.Hash(n)
	if err == nil && hash != item.Info.NARHash {
		err = errors.New("another hash")
	}
	return cmp.Or(end(err == nil), err)
}

// An item with a listing is read straight from its file, as often as it is written. The build store has nothing of it.
func TestStream(t *testing.T) {
	l := newListed(t)
	c, item, err := l.realise()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.hash(c, item); err != nil {
			t.Error(err)
		}
	}
	if all := kept(t, l.keep); len(all) > 0 {
		t.Errorf("kept %q", all)
	}
}

// In another order it is read from the build store, before it is written, meanwhile and after that.
func TestStreamRandomly(t *testing.T) {
	l := newListed(t)
	c, item, err := l.realise()
	if err != nil {
		t.Fatal(err)
	}
	n, _ := c.Item(t.Context(), item.Info.Path)
	a, b := n.Children()[0].Blob(), n.Children()[1].Blob()
	end, err := c.Stream(item.Info.Path).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 16)
	r, _ := b.Open()
	for _, off := range []int64{16, 0, 1600, 0} {
		if _, err := r.ReadAt(first, off); err != nil || string(first) != "0123456789abcdef" {
			t.Errorf("%q, %v", first, err)
		}
	}
	r.Close()
	if got, err := tree.ReadAll(a, 10); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
	end(false)
	if all := kept(t, filepath.Join(l.keep, "sha256")); len(all) != 1 {
		t.Errorf("kept %q", all)
	}
	if hash, _, err := nar.Hash(n); err != nil || hash != item.Info.NARHash {
		t.Error(err)
	}
	if _, item, err = l.realise(); err != nil {
		t.Fatal(err)
	}
	if again, ok := item.Store.(*Cache); !ok || again.Stream(item.Info.Path) != nil {
		t.Error("what the build store has is streamed")
	}
}

// A listing that lies gives another hash, or does not fit the archive. Files of the cache that are damaged are errors that name them.
func TestStreamLies(t *testing.T) {
	for what, c := range map[string]struct {
		spoil    func(l *listed)
		want     string
		mismatch bool
	}{
		"longer": {func(l *listed) { l.entry("b")["size"] = 1 << 40 }, "its files make an archive of", false},
		"name": {func(l *listed) {
			l.root["entries"].(map[string]any)["d"] = l.entry("c")
			delete(l.root["entries"].(map[string]any), "c")
		}, "another hash", false},
		"target":     {func(l *listed) { l.entry("c")["target"] = "a" }, "another hash", false},
		"size":       {func(l *listed) { l.entry("a")["size"] = 5 }, "another hash", false}, // within the padding
		"odd name":   {func(l *listed) { l.root["entries"].(map[string]any)["../x"] = l.entry("c") }, `"../x"`, false},
		"truncated":  {func(l *listed) { l.files["/"+l.name] = l.files["/"+l.name][:20] }, "the archive ends too early", true},
		"no file":    {func(l *listed) { delete(l.files, "/"+l.name) }, "no such file", false},
		"shorter":    {func(l *listed) { l.files["/"+l.name] = l.compress("zstd", make([]byte, 100)) }, "the archive ends too early", true},
		"other file": {func(l *listed) { l.files["/"+l.name] = l.compress("zstd", make([]byte, 2_000_000)) }, "another hash", false},
	} {
		l := newListed(t)
		c.spoil(l)
		cache, item, err := l.realise()
		if err == nil {
			err = l.hash(cache, item)
		}
		if !says(err, c.want) || errors.Is(err, cas.ErrMismatch) != c.mismatch || c.want != "another hash" && !says(err, l.dir) {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
		if all := kept(t, l.keep); len(all) > 0 {
			t.Errorf("%s: kept %q", what, all)
		}
	}
}

// A listing that is none is not used.
func TestNoListing(t *testing.T) {
	l := newListed(t)
	l.root["type"] = "x"
	c, item, err := l.realise()
	if err != nil {
		t.Fatal(err)
	}
	if c.Stream(item.Info.Path) != nil || len(kept(t, l.keep)) != 1 {
		t.Error("it is streamed")
	}
	check(t, &closure.Closure{Items: []closure.Item{*item}})
}
