package source

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"imprint/closure"
	"imprint/closure/closuretest"
	"imprint/closure/narinfo"
	"imprint/image/disk"
	"imprint/internal/framed"
	"imprint/internal/guixtest"
	"imprint/internal/hosttest"
	"imprint/internal/hosttree"
	"imprint/internal/nixtest"
	"imprint/internal/s3test"
	"imprint/internal/tree"
)

func readItem(path string) (*tree.Node, error) { return new(hosttree.Scanner).Read(path) }

func realise(ctx context.Context, c *closure.Closure) error { return Realise(ctx, c, nil) }

// Sources of every kind do what the rest of the program relies on.
func TestConformance(t *testing.T) {
	both, nix := closure.Flavors(), []closure.Flavor{closure.Nix}
	closuretest.Run(t,
		closuretest.Kind{Name: "database", Flavors: both, Open: func(t *testing.T, f closure.Flavor, items []closuretest.Item) (closure.Store, error) {
			dir := t.TempDir()
			closuretest.Database(t, dir, f, items)
			return closure.OpenLocal(t.Context(), dir, f, readItem)
		}},
		closuretest.Kind{Name: "registration", Flavors: both, Dangling: true, Open: func(t *testing.T, f closure.Flavor, items []closuretest.Item) (closure.Store, error) {
			dir := t.TempDir()
			closuretest.Directory(t, dir, items)
			file := filepath.Join(dir, "registration")
			if err := os.WriteFile(file, []byte(closuretest.Registration(items)), 0o644); err != nil {
				t.Fatal(err)
			}
			return closure.OpenRegistration(t.Context(), dir, file, f, readItem)
		}},
		closuretest.Kind{Name: "image", Flavors: both, Open: openInImage},
		closuretest.Kind{Name: "cache", Flavors: both, Dangling: true, Realise: realise, Open: openCache(directory, false)},
		closuretest.Kind{Name: "cache with listings", Flavors: both, Dangling: true, Realise: realise, Pass: passBy, Open: openCache(directory, true)},
		closuretest.Kind{Name: "cache with listings, in any order", Flavors: both, Dangling: true, Realise: realise, Open: openCache(directory, true)},
		closuretest.Kind{Name: "cache on a server", Flavors: both, Dangling: true, Realise: realise, Open: openCache(server, false)},
		closuretest.Kind{Name: "cache with listings on a server", Flavors: both, Dangling: true, Realise: realise, Pass: passBy, Open: openCache(server, true)},
		closuretest.Kind{Name: "cache in a bucket", Flavors: nix, Dangling: true, Realise: realise, Open: openCache(bucket, false)},
		closuretest.Kind{Name: "cache with listings in a bucket", Flavors: nix, Dangling: true, Realise: realise, Pass: passBy, Open: openCache(bucket, true)},
		closuretest.Kind{Name: "guix archive", Flavors: []closure.Flavor{closure.Guix}, Dangling: true, NoHashes: true, Open: openGuixArchive},
		closuretest.Kind{Name: "export", Flavors: both, Dangling: true, NoHashes: true, Open: func(t *testing.T, f closure.Flavor, items []closuretest.Item) (closure.Store, error) {
			file := filepath.Join(t.TempDir(), "stream")
			closuretest.Stream(t, file, items)
			return OpenExport(t.Context(), ExportOptions{File: file, Scratch: t.TempDir(), Flavor: f})
		}},
		closuretest.Kind{Name: "daemon", Flavors: nix, Realise: realise, Open: openByDaemon(false)},
		closuretest.Kind{Name: "distant daemon", Flavors: nix, Realise: realise, Open: openByDaemon(true)},
	)
}

// directory, server and bucket put the files of a cache where its URL leads.
func directory(_ *testing.T, dir string) string { return "file://" + dir }

func server(t *testing.T, dir string) string {
	s := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(s.Close)
	return s.URL
}

func bucket(t *testing.T, dir string) string {
	s := s3test.New(t)
	s.Public = "bucket"
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		s.Put("bucket/a/"+f.Name(), content)
	}
	return "s3://bucket/a?endpoint=" + url.QueryEscape(s.URL)
}

// openCache makes a cache and opens it.
func openCache(at func(t *testing.T, dir string) (url string), listings bool) func(*testing.T, closure.Flavor, []closuretest.Item) (closure.Store, error) {
	return func(t *testing.T, f closure.Flavor, items []closuretest.Item) (closure.Store, error) {
		dir := t.TempDir()
		closuretest.Cache(t, dir, f, items)
		o := CacheOptions{Flavor: f, Keep: filepath.Join(t.TempDir(), "keep")}
		if listings {
			closuretest.Listings(t, dir, items)
			o.Compares = func(*tree.Node) bool { return false }
		}
		o.URL = at(t, dir)
		return OpenCache(t.Context(), o)
	}
}

// passBy reads an item as it is written to an image: from its archive, or from the build store, where an earlier reading has kept it.
func passBy(ctx context.Context, item closure.Item) (func(bool) error, error) {
	c := item.Store.(*Cache)
	if s := c.Stream(item.Info.Path); s != nil {
		return s.Begin(ctx)
	}
	if !c.kept.Has(item.Info.NARHash, item.Info.NARSize) {
		return nil, errors.New("it is neither streamed nor kept")
	}
	return func(bool) error { return nil }, nil
}

// openGuixArchive makes what guix archive --export writes: of each item, what is between its two numbers, with a signature.
func openGuixArchive(t *testing.T, f closure.Flavor, items []closuretest.Item) (closure.Store, error) {
	var all []byte
	for _, item := range items {
		var one bytes.Buffer
		closuretest.WriteStream(t, &one, []closuretest.Item{item})
		signed := one.Bytes()[8 : one.Len()-16]
		all = append(framed.AppendNumber(all, 1), signed...)
		all = framed.AppendString(framed.AppendNumber(all, 1), guixtest.Sign(string(signed)))
	}
	name := filepath.Join(t.TempDir(), "stream")
	if err := os.WriteFile(name, framed.AppendNumber(all, 0), 0o644); err != nil {
		t.Fatal(err)
	}
	key, err := narinfo.ParseKey(guixtest.Key)
	if err != nil {
		t.Fatal(err)
	}
	return OpenExport(t.Context(), ExportOptions{File: name, Scratch: t.TempDir(), Flavor: f, Keys: []narinfo.Key{key}})
}

// openInImage has mke2fs make an image of a store directory.
func openInImage(t *testing.T, f closure.Flavor, items []closuretest.Item) (closure.Store, error) {
	dir, image := filepath.Join(t.TempDir(), "root"), filepath.Join(t.TempDir(), "image")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	closuretest.Database(t, dir, f, items)
	if err := os.WriteFile(image, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, hosttest.Find(t, "mke2fs"), "-q", "-t", "ext4", "-d", dir, image, "8M")
	file, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	d, err := disk.Open(file, 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	s, err := closure.OpenTree(t.Context(), d.Regions[0].Volume.Tree, f)
	return named{s}, err
}

// named is a store with a name, which whoever opens an image gives it.
type named struct{ *closure.TreeStore }

func (named) String() string { return "an image" }

// openByDaemon starts Nix's daemon for a store directory. A distant one has a socket that does not show where its store is.
func openByDaemon(distant bool) func(*testing.T, closure.Flavor, []closuretest.Item) (closure.Store, error) {
	return func(t *testing.T, f closure.Flavor, items []closuretest.Item) (closure.Store, error) {
		dir := t.TempDir()
		closuretest.Database(t, dir, f, items)
		socket := nixtest.OpenStore(t, dir).Daemon(t)
		if distant {
			other := filepath.Join(t.TempDir(), "socket")
			if err := os.Symlink(socket, other); err != nil {
				t.Fatal(err)
			}
			socket = other
		}
		return OpenDaemon(t.Context(), DaemonOptions{Socket: socket, Flavor: f, Keep: filepath.Join(dir, "keep"), Read: readItem})
	}
}
