package closuretest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imprint/closure"
	"imprint/closure/export"
	"imprint/closure/nar"
	"imprint/closure/narinfo"
	"imprint/internal/tree"
)

// Directory writes items to a store directory below dir, without their registration.
func Directory(t *testing.T, dir string, items []Item) {
	t.Helper()
	t.Cleanup(func() {
		filepath.WalkDir(dir, func(at string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				os.Chmod(at, 0o755)
			}
			return nil
		})
	})
	for _, item := range items {
		if err := os.MkdirAll(filepath.Dir(dir+item.Info.Path.String()), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, dir+item.Info.Path.String(), item.Node)
	}
}

// write writes a tree to a path.
func write(t *testing.T, at string, n *tree.Node) {
	t.Helper()
	var err error
	switch n.Kind() {
	case tree.Dir:
		err = os.Mkdir(at, 0o755)
		for _, c := range n.Children() {
			write(t, at+"/"+c.Name, c)
		}
	case tree.Symlink:
		err = os.Symlink(n.Target(), at)
	default:
		text, readErr := tree.ReadAll(n.Blob(), 1<<20)
		if err = readErr; err == nil {
			err = os.WriteFile(at, text, os.FileMode(n.Attr.Mode))
		}
	}
	if err == nil && n.Kind() != tree.Symlink {
		err = os.Chtimes(at, time.Unix(1, 0), time.Unix(1, 0))
	}
	if err == nil && n.Kind() == tree.Dir {
		err = os.Chmod(at, 0o555)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Database is Directory with a database.
func Database(t *testing.T, dir string, f closure.Flavor, items []Item) {
	t.Helper()
	Directory(t, dir, items)
	if err := os.MkdirAll(dir+f.StateDir+"/db", 0o755); err != nil {
		t.Fatal(err)
	}
	var infos []*closure.Info
	for _, item := range items {
		infos = append(infos, item.Info)
	}
	if err := f.Register(t.Context(), dir, infos, 1, false); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+f.StateDir+"/db/schema", []byte(f.Schema), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Registration returns the text that closure.ParseRegistration reads.
func Registration(items []Item) string {
	var b strings.Builder
	for _, item := range items {
		i := item.Info
		fmt.Fprintf(&b, "%v\n%s\n%d\n%s\n%d\n", i.Path, hex.EncodeToString(i.NARHash[:]), i.NARSize, i.Deriver, len(i.References))
		for _, r := range i.References {
			fmt.Fprintln(&b, r)
		}
	}
	return b.String()
}

// Cache writes items to a binary cache.
func Cache(t *testing.T, dir string, f closure.Flavor, items []Item) {
	t.Helper()
	file := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file(narinfo.CacheFile, narinfo.CacheText(f.StoreDir))
	for _, item := range items {
		var b strings.Builder
		if err := nar.Write(&b, item.Node, Content); err != nil {
			t.Fatal(err)
		}
		i := item.Info
		about := &narinfo.Info{StorePath: i.Path.String(), URL: i.Path.Base() + ".nar", Compression: "none", NARHash: i.NARHash, NARSize: i.NARSize}
		for _, r := range i.References {
			about.References = append(about.References, r.Base())
		}
		file(about.URL, b.String())
		file(i.Path.Base()[:32]+".narinfo", about.String())
	}
}

// Listings adds listings to a binary cache.
func Listings(t *testing.T, dir string, items []Item) {
	t.Helper()
	for _, item := range items {
		text, err := json.Marshal(map[string]any{"version": 1, "root": listing(item.Node)})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, item.Info.Path.Base()[:32]+".ls"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// listing returns a node of a listing, without offsets.
func listing(n *tree.Node) map[string]any {
	switch n.Kind() {
	case tree.Dir:
		entries := map[string]any{}
		for _, c := range n.Children() {
			entries[c.Name] = listing(c)
		}
		return map[string]any{"type": "directory", "entries": entries}
	case tree.Symlink:
		return map[string]any{"type": "symlink", "target": n.Target()}
	}
	return map[string]any{"type": "regular", "size": n.Size(), "executable": n.Attr.Mode&0o100 != 0}
}

// Stream writes items to an export stream.
func Stream(t *testing.T, name string, items []Item) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	WriteStream(t, f, items)
}

// WriteStream writes an export stream.
func WriteStream(t *testing.T, to io.Writer, items []Item) {
	t.Helper()
	w := export.NewWriter(to)
	for _, item := range items {
		record := export.Item{Path: item.Info.Path.String(), Node: item.Node}
		for _, r := range item.Info.References {
			record.References = append(record.References, r.String())
		}
		if err := w.Add(record, Content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// Content is what nar.Write calls for the content of a file.
func Content(w io.Writer, file *tree.Node) error {
	text, err := tree.ReadAll(file.Inode().Blob(), 1<<20)
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}
