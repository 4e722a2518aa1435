package source

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"imprint/closure"
	"imprint/closure/closuretest"
	"imprint/image/disk"
	"imprint/internal/hosttest"
	"imprint/internal/hosttree"
	"imprint/internal/nixtest"
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
		closuretest.Kind{Name: "cache", Flavors: both, Dangling: true, Realise: realise, Open: func(t *testing.T, f closure.Flavor, items []closuretest.Item) (closure.Store, error) {
			dir := t.TempDir()
			closuretest.Cache(t, dir, f, items)
			return OpenCache(t.Context(), CacheOptions{URL: "file://" + dir, Flavor: f, Keep: filepath.Join(dir, "keep")})
		}},
		closuretest.Kind{Name: "export", Flavors: both, Dangling: true, NoHashes: true, Open: func(t *testing.T, f closure.Flavor, items []closuretest.Item) (closure.Store, error) {
			file := filepath.Join(t.TempDir(), "stream")
			closuretest.Stream(t, file, items)
			return OpenExport(t.Context(), file, t.TempDir(), f)
		}},
		closuretest.Kind{Name: "daemon", Flavors: nix, Realise: realise, Open: openByDaemon(false)},
		closuretest.Kind{Name: "distant daemon", Flavors: nix, Realise: realise, Open: openByDaemon(true)},
	)
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
