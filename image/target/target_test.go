package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/closure"
	"imprint/closure/closuretest"
	"imprint/closure/nar"
	"imprint/internal/cas"
	"imprint/internal/fault"
	"imprint/internal/hosttest"
	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

// A world is a source with some items, of which each refers to the one before.
type world struct {
	*testing.T
	flavor closure.Flavor
	items  []closure.Item
}

func newWorld(t *testing.T, f closure.Flavor, n int) *world {
	return newWorldOf(t, f, n, func(i int) string { return strings.Repeat(fmt.Sprint(i), 5000) })
}

// newWorldOf returns a world in which each item has a file with a text of its own.
func newWorldOf(t *testing.T, f closure.Flavor, n int, text func(int) string) *world {
	t.Helper()
	w := &world{T: t, flavor: f}
	dir := t.TempDir()
	var list []closuretest.Item
	for i := range n {
		p, err := f.ParsePath(fmt.Sprintf("%s/%032d-item", f.StoreDir, i))
		if err != nil {
			t.Fatal(err)
		}
		node := tree.NewDir(p.Base(), closure.CanonicalAttr(tree.Dir, 0), []*tree.Node{
			tree.NewFile("file", closure.CanonicalAttr(tree.File, 0o444), tree.Text(text(i))),
			tree.NewSymlink("link", closure.CanonicalAttr(tree.Symlink, 0), "file"),
		})
		hash, size, err := nar.Hash(node)
		if err != nil {
			t.Fatal(err)
		}
		info := &closure.Info{Path: p, NARHash: hash, NARSize: size}
		if i > 0 {
			info.References = []closure.Path{list[i-1].Info.Path}
		}
		list = append(list, closuretest.Item{Info: info, Node: node})
	}
	closuretest.Database(t, dir, f, list)
	s, err := closure.OpenLocal(t.Context(), dir, f, new(hosttree.Scanner).Read)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, item := range list {
		w.items = append(w.items, closure.Item{Info: item.Info, Store: s})
	}
	return w
}

func (w *world) directory(prefix string) *Directory {
	w.Helper()
	d, err := OpenDirectory(w.Context(), DirectoryOptions{Prefix: prefix, Flavor: w.flavor, Epoch: 1, NoSync: true})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { d.Close(); exec.Command("chmod", "-R", "u+w", prefix).Run() })
	return d
}

// valid returns how many items are valid in a store directory.
func (w *world) valid(d *Directory) int {
	w.Helper()
	var paths []closure.Path
	for _, item := range w.items {
		paths = append(paths, item.Info.Path)
	}
	valid, err := d.valid(w.Context(), paths...)
	if err != nil {
		w.Fatal(err)
	}
	return len(valid)
}

// A copy adds what is lacking, twice makes no difference, and each item has the metadata of a store, whatever the directory's default access control list says.
func TestDirectory(t *testing.T) {
	for _, f := range closure.Flavors() {
		w := newWorld(t, f, 5)
		prefix := t.TempDir()
		if _, err := exec.LookPath("setfacl"); err == nil {
			exec.Command("setfacl", "-d", "-m", "u:12345:rwx", prefix).Run()
		}
		d := w.directory(prefix)
		for n, want := range []int{2, 3, 0} {
			list := w.items
			if n == 0 {
				list = w.items[:2]
			}
			copied, err := Copy(t.Context(), d, list, nil, nil)
			if err != nil || len(copied) != want {
				t.Fatalf("%d items, %v", len(copied), err)
			}
		}
		if n := w.valid(d); n != 5 {
			t.Errorf("%d items are valid", n)
		}
		own := &hosttree.Scanner{Attr: func(h hosttree.Host) *tree.Attr {
			return &tree.Attr{Mode: h.Mode, Mtime: h.Mtime, Xattrs: h.Xattrs}
		}}
		var infos []*closure.Info
		for _, item := range w.items {
			infos = append(infos, item.Info)
		}
		err := closure.VerifyItems(t.Context(), infos, func(p closure.Path) (*tree.Node, error) { return own.Read(prefix + p.String()) }, func(f fault.Fault) { t.Error(f) })
		if err != nil {
			t.Error(err)
		}
	}
}

// An item with other contents than are registered ends the copy. Nothing that needs it is registered, and nothing of it is left.
func TestMismatch(t *testing.T) {
	w := newWorld(t, closure.Nix, 4)
	for _, spoil := range []func(*closure.Info){
		func(i *closure.Info) { i.NARHash[3] ^= 1 },
		func(i *closure.Info) { i.NARSize += 8 },
	} {
		bad := *w.items[2].Info
		spoil(&bad)
		items := slices.Clone(w.items)
		items[2].Info = &bad
		prefix := t.TempDir()
		d := w.directory(prefix)
		if _, err := Copy(t.Context(), d, items, nil, nil); !errors.Is(err, cas.ErrMismatch) || !strings.Contains(err.Error(), bad.Path.String()) {
			t.Errorf("%v", err)
		}
		if n := w.valid(d); n > 2 {
			t.Errorf("%d items are valid", n)
		}
		if _, err := os.Lstat(prefix + bad.Path.String()); err == nil {
			t.Error("it is left")
		}
		if list, _ := filepath.Glob(prefix + closure.Nix.StoreDir + "/0*"); len(list) != w.valid(d) {
			t.Errorf("%q are left, of which %d are valid", list, w.valid(d))
		}
		if _, err := Copy(t.Context(), d, w.items, nil, nil); err != nil || w.valid(d) != 4 {
			t.Errorf("%v", err)
		}
		cache, err := OpenCache(t.Context(), t.TempDir(), CacheOptions{Flavor: closure.Nix, Compression: "none"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Copy(t.Context(), cache, items, nil, nil); !errors.Is(err, cas.ErrMismatch) {
			t.Errorf("%v", err)
		}
		about, _ := filepath.Glob(cache.String() + "/*.narinfo")
		left, _ := filepath.Glob(cache.String() + "/nar/*")
		if len(about) > 2 || len(left) > 3 {
			t.Errorf("%q, %q", about, left)
		}
		if _, err := Copy(t.Context(), &Stream{W: &bytes.Buffer{}, Name: "x"}, items, nil, nil); !errors.Is(err, cas.ErrMismatch) {
			t.Errorf("%v", err)
		}
	}
}

// A target takes nothing that refers to what it would lack.
func TestIncomplete(t *testing.T) {
	w := newWorld(t, closure.Nix, 4)
	cache, err := OpenCache(t.Context(), t.TempDir(), CacheOptions{Flavor: closure.Nix, Compression: "none"})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []Target{w.directory(t.TempDir()), cache} {
		var missing *closure.MissingError
		if _, err := Copy(t.Context(), to, w.items[2:], nil, nil); !errors.As(err, &missing) || missing.Items[0].Path != w.items[1].Info.Path {
			t.Errorf("%v: %v", to, err)
		}
		if lacking, err := to.Lacking(t.Context(), []closure.Path{w.items[2].Info.Path, w.items[3].Info.Path}); err != nil || len(lacking) != 2 {
			t.Errorf("%v lacks %v, %v", to, lacking, err)
		}
		for _, list := range [][]closure.Item{w.items[:2], w.items[2:]} {
			if _, err := Copy(t.Context(), to, list, nil, nil); err != nil {
				t.Errorf("%v: %v", to, err)
			}
		}
	}
	if _, err := Copy(t.Context(), &Stream{W: &bytes.Buffer{}, Name: "x"}, w.items[2:], nil, nil); err != nil {
		t.Errorf("a stream: %v", err)
	}
}

// What an interrupted program has left is in nobody's way, with its locks; two copies at once make one store.
func TestLeftovers(t *testing.T) {
	w := newWorld(t, closure.Nix, 6)
	prefix := t.TempDir()
	d := w.directory(prefix)
	left := prefix + w.items[3].Info.Path.String()
	for _, err := range []error{os.MkdirAll(left+"/a/b", 0o755), os.WriteFile(left+"/a/b/c", nil, 0o400), os.Chmod(left+"/a/b", 0o555), os.WriteFile(left+".lock", nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	other := w.directory(prefix)
	done := make(chan error)
	for _, to := range []*Directory{d, other} {
		go func() {
			_, err := Copy(context.Background(), to, w.items, nil, nil)
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := w.valid(d); n != 6 {
		t.Errorf("%d items are valid", n)
	}
	list, err := os.ReadDir(prefix + closure.Nix.StoreDir)
	if err != nil || len(list) != 7 {
		t.Errorf("%v, %v", list, err)
	}
}

// A directory with a store of another version is left alone.
func TestOtherVersion(t *testing.T) {
	w := newWorld(t, closure.Nix, 1)
	prefix := t.TempDir()
	w.directory(prefix).Close()
	if err := os.WriteFile(prefix+closure.Nix.StateDir+"/db/schema", []byte("11"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := w.directory(prefix)
	if _, err := Copy(t.Context(), d, w.items, nil, nil); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("%v", err)
	}
}

// The file of a stream holds only what was written.
func TestStream(t *testing.T) {
	w := newWorld(t, closure.Nix, 3)
	var b bytes.Buffer
	if _, err := Copy(t.Context(), &Stream{W: &b}, w.items, nil, func(p *Progress) {
		if p.Items != 3 || p.Total == 0 {
			t.Errorf("%+v", p)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "nix-archive-1"); n != 3 {
		t.Errorf("%d archives", n)
	}
}

// A collection that comes after it was looked up what is valid takes nothing that the copy needs.
func TestCollectedMeanwhile(t *testing.T) {
	hosttest.Need(t, "nix-store")
	w := newWorld(t, closure.Nix, 6)
	prefix := t.TempDir()
	d := w.directory(prefix)
	if _, err := Copy(t.Context(), d, w.items[:3], nil, nil); err != nil {
		t.Fatal(err)
	}
	d.Close() // else the first copy holds them
	d = w.directory(prefix)
	_, err := Copy(t.Context(), d, w.items, func([]closure.Item) error {
		c := exec.Command("nix-store", "--gc")
		c.Env = append(os.Environ(), "NIX_REMOTE=local?root="+prefix, "HOME="+prefix, "NIX_CONF_DIR="+prefix, "NIX_CONFIG=build-users-group =")
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "0 store paths deleted") {
			t.Errorf("%v: %s", err, out)
		}
		return nil
	}, nil)
	if err != nil || w.valid(d) != 6 {
		t.Errorf("%d are valid, %v", w.valid(d), err)
	}
}
