package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"imprint/internal/layer"
	"imprint/internal/sandbox"
	"imprint/internal/tree"
)

var attr = &tree.Attr{Mode: 0o555, Mtime: tree.Time{Sec: 5}}

// own is a user with one ID.
var own = sandbox.Identity{UID: os.Getuid(), GID: os.Getgid()}

func TestMain(m *testing.M) {
	sandbox.Begin()
	os.Exit(m.Run())
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func treeOf(t *testing.T, content string) *tree.Tree {
	t.Helper()
	file := tree.NewFile("f", &tree.Attr{Mode: 0o400}, tree.Text(content))
	l, err := layer.New([]layer.Entry{
		{Path: "/", Node: tree.NewDir("", attr, nil)}, {Path: "/d", Node: tree.NewDir("", attr, nil)}, {Path: "/d/f", Node: file}, {Path: "/d/g", Node: tree.NewLink("", file)},
		{Path: "/null", Node: tree.NewDevice("", attr, tree.CharDevice, tree.Device{Major: 1, Minor: 3})},
	})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := layer.Tree([]*layer.Layer{l}, attr)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// A tree is written once, whoever may change it, and is gone after a sweep that does not keep it.
func TestTree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trees")
	path, err := Tree(t.Context(), dir, "a", treeOf(t, "1"), own)
	if err != nil || read(t, path+"/d/f") != "1" || read(t, path+"/d/g") != "1" {
		t.Fatal(err)
	}
	again, err := Tree(t.Context(), dir, "a", treeOf(t, "2"), own)
	if err != nil || again != path || read(t, path+"/d/f") != "1" {
		t.Error(err, again)
	}
	if _, err := Tree(t.Context(), dir, "b", treeOf(t, "2"), own); err != nil {
		t.Error(err)
	}
	if err := Sweep(t.Context(), dir, own, func(name string) bool { return name == "b" }); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "b" {
		t.Error(err, entries)
	}
	if err := Sweep(t.Context(), filepath.Join(dir, "none"), own, nil); err != nil {
		t.Error(err)
	}
	damaged := tree.NewFile("", attr, tree.Pinned(tree.Text("x"), tree.Pin{1}))
	b := tree.NewBuilder(attr)
	if err := b.Add("/x", damaged, ""); err != nil {
		t.Fatal(err)
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Tree(t.Context(), dir, "c", tr, own); !errors.Is(err, tree.ErrChanged) {
		t.Errorf("a damaged content is written: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left are %v", entries)
	}
	if err := Sweep(t.Context(), dir, own, func(string) bool { return false }); err != nil {
		t.Error(err)
	}
}

// A workspace has one user at a time, and keeps writes until they are cleared.
func TestWorkspace(t *testing.T) {
	dir := t.TempDir()
	w, err := Open(dir, "web")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, "web"); !errors.Is(err, ErrBusy) {
		t.Errorf("it is opened twice: %v", err)
	}
	if base, err := w.Base(); base != "" || err != nil {
		t.Error(base, err)
	}
	if err := w.Begin(t.Context(), "/lower", "pin", attr, own); err != nil {
		t.Fatal(err)
	}
	upper := filepath.Join(w.Dir, "upper")
	if info, err := os.Stat(upper); err != nil || info.Mode().Perm() != 0o555 {
		t.Error(err, info.Mode())
	}
	os.Chmod(upper, 0o755)
	if err := os.WriteFile(filepath.Join(upper, "new"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.Begin(t.Context(), "/other", "pin", attr, own); err != nil {
		t.Fatal(err)
	}
	l, err := w.Writes(t.Context(), own)
	if err != nil || len(l.Entries()) != 2 || l.Entries()[1].Path != "/new" {
		t.Error(err, l.Entries())
	}
	if base, err := w.Base(); base != "pin" || err != nil {
		t.Error(base, err)
	}
	if err := w.Clear(t.Context(), own); err != nil {
		t.Error(err)
	}
	if base, err := w.Base(); base != "" || err != nil {
		t.Error(base, err)
	}
	if err := errors.Join(w.Begin(t.Context(), "/lower", "pin", attr, own), w.Saving("as")); err != nil {
		t.Fatal(err)
	}
	os.Chmod(upper, 0o755)
	for _, err := range []error{os.WriteFile(filepath.Join(upper, "half"), nil, 0o600), os.Remove(filepath.Join(w.Dir, "base"))} { // a killed process was about to clear it
		if err != nil {
			t.Fatal(err)
		}
	}
	if as, err := w.Saved(); as != "as" || err != nil {
		t.Error(as, err)
	}
	if err := w.Begin(t.Context(), "/lower", "other", attr, own); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(upper); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
	if as, err := w.Saved(); as != "" || err != nil {
		t.Error(as, err)
	}
	if err := errors.Join(w.Close(), w.Remove(t.Context(), own)); err != nil {
		t.Error(err)
	}
	if again, err := Open(dir, "web"); err != nil {
		t.Error(err)
	} else {
		again.Close()
	}
}
