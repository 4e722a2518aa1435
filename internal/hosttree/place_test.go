package hosttree

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"imprint/internal/tree"
)

// A file that is named and not looked at is read like others; that it is gone, a symlink or shorter than expected shows then.
func TestPlace(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a/b/file"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(dir, "a/b/link")); err != nil {
		t.Fatal(err)
	}
	at := At(dir).Below("a").Below("b")
	b := at.File("file", 7)
	if text, err := tree.ReadAll(b, 100); err != nil || string(text) != "content" || tree.HostPath(b) != filepath.Join(dir, "a/b/file") {
		t.Errorf("%s has %q, %v", tree.HostPath(b), text, err)
	}
	if _, err := tree.ReadAll(at.File("file", 8), 100); !errors.Is(err, tree.ErrChanged) {
		t.Errorf("a file that is too short is read: %v", err)
	}
	if _, err := at.File("none", 8).Open(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there is opened: %v", err)
	}
	if _, err := at.File("link", 7).Open(); err == nil {
		t.Error("a symlink is followed")
	}
	for name, want := range map[string]tree.Kind{"file": tree.File, "link": tree.Symlink, ".": tree.Dir} {
		if kind, err := KindAt(filepath.Join(dir, "a/b", name)); err != nil || kind != want {
			t.Errorf("%s is a %v, %v", name, kind, err)
		}
	}
	if _, err := KindAt(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
