package workspace

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"imprint/internal/hosttest"
)

// What is read of the writes is as it was, whatever the caller may read; afterwards, or in the next process, they are so again.
func TestHold(t *testing.T) {
	hosttest.Need(t, "unshare")
	if exec.Command("unshare", "--user", "--map-root-user", "true").Run() != nil {
		t.Skip("needs user namespaces")
	}
	ctx := t.Context()
	w, err := Open(t.TempDir(), "web")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Begin(ctx, "/lower", "pin", attr, own); err != nil {
		t.Fatal(err)
	}
	shut := filepath.Join(w.Dir, "upper/shut")
	os.Chmod(filepath.Join(w.Dir, "upper"), 0o755)
	for _, err := range []error{os.Mkdir(shut, 0o700), os.WriteFile(shut+"/f", []byte("x"), 0), os.Chmod(shut, 0o100)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	mode := func() os.FileMode {
		info, err := os.Stat(shut)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	if err := w.Hold(ctx, own); err != nil || mode() != 0o100 {
		t.Fatal(err, mode())
	}
	for range 2 { // also what was read once, by a process that was killed then
		l, err := w.Writes(ctx, own)
		if err != nil || len(l.Entries()) != 3 || l.Entries()[1].Node.Attr.Mode != 0o100 || l.Entries()[2].Node.Attr.Mode != 0 {
			t.Fatal(err, l)
		}
		if mode() != 0o700 {
			t.Errorf("a directory that was read has mode %o", mode())
		}
		if err := w.Begin(ctx, "/lower", "pin", attr, own); err != nil || mode() != 0o100 {
			t.Fatal(err, mode())
		}
		if err := w.Hold(ctx, own); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Clear(ctx, own); err != nil {
		t.Error(err)
	}
	if err := w.Restore(ctx, own); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(w.Dir + "/*"); err != nil || len(left) != 2 {
		t.Error(left, err)
	}
}
