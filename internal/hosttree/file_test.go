package hosttree

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"imprint/internal/tree"
)

// scanned returns the blob of a file with the text "content".
func scanned(t *testing.T) (string, tree.Blob) {
	t.Helper()
	top := t.TempDir()
	path := filepath.Join(top, "f")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := new(Scanner).Read(top)
	if err != nil {
		t.Fatal(err)
	}
	return path, n.Children()[0].Blob()
}

func TestFileReadAt(t *testing.T) {
	path, blob := scanned(t)
	if got := tree.HostPath(blob); got != path {
		t.Errorf("HostPath is %s", got)
	}
	r, err := blob.Open()
	if err != nil {
		t.Fatal(err)
	}
	if fd, off, ok := tree.Descriptor(r); !ok || fd < 3 || off != 0 {
		t.Errorf("descriptor %d", fd)
	}
	p := make([]byte, 20)
	for _, c := range []struct {
		size int
		off  int64
		want string
		err  error
	}{
		{7, 0, "content", nil}, {8, 0, "content", io.EOF}, {3, 2, "nte", nil}, {5, 4, "ent", io.EOF}, {1, 7, "", io.EOF},
		{1, 70, "", io.EOF}, {0, 0, "", nil},
	} {
		if n, err := r.ReadAt(p[:c.size], c.off); string(p[:n]) != c.want || err != c.err {
			t.Errorf("%d bytes at %d: %q, %v", c.size, c.off, p[:n], err)
		}
	}
	if err := os.WriteFile(path, []byte("content and more"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := r.ReadAt(p, 0); n != 16 || err != io.EOF || blob.Size() != 7 {
		t.Errorf("a grown file: read %d bytes, %v", n, err)
	}
	if err := os.Truncate(path, 3); err != nil {
		t.Fatal(err)
	}
	n, err := r.ReadAt(p[:7], 0)
	if n != 3 || !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), path+": ends at byte 3, had 7") {
		t.Errorf("a shortened file: read %d bytes, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err == nil {
		t.Error("closed twice")
	}
}

// A file may have become something else between the scan and Open.
func TestFileSwapped(t *testing.T) {
	for what, put := range map[string]func(string) error{
		"nothing":   func(string) error { return nil },
		"symlink":   func(path string) error { return os.Symlink("/etc/hostname", path) },
		"fifo":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		path, blob := scanned(t)
		if err := errors.Join(os.Remove(path), put(path)); err != nil {
			t.Fatal(err)
		}
		r, err := blob.Open()
		if err == nil {
			_, err = r.ReadAt(make([]byte, 7), 0)
			r.Close()
		}
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestFile(t *testing.T) {
	path, _ := scanned(t)
	link := path + "-link"
	if err := os.Symlink("f", link); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, link} {
		blob, err := File(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, blob); string(got) != "content" {
			t.Errorf("%s: %q", p, got)
		}
	}
	if _, err := File(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "is a directory, not a file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := File(path + "-none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestPath(t *testing.T) {
	root, rel := &dir{name: "/"}, &dir{name: "a/b"}
	for _, c := range []struct {
		dir        *dir
		name, want string
	}{
		{root, "", "/"}, {root, "x", "/x"}, {&dir{parent: root, name: "y"}, "x", "/y/x"},
		{rel, "", "a/b"}, {rel, "x", "a/b/x"}, {&dir{parent: rel, name: "c"}, "", "a/b/c"}, {&dir{name: "."}, "x", "./x"},
	} {
		if got := c.dir.path(c.name); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// A million files must fit in memory many times over.
func TestFileIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(file{}); size > 32 {
		t.Errorf("a file takes %d bytes", size)
	}
	if a, b := tree.Blob(&file{name: "x"}), tree.Blob(&file{name: "x"}); a == b {
		t.Error("two files are one")
	}
}

// The reader of a file with holes skips them; one that has become shorter is reported all the same.
func TestFileWithHoles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 15 << 40
	if err := f.Truncate(size); err != nil {
		t.Skipf("a file of 15 TiB: %v", err)
	}
	if _, err := f.WriteAt([]byte("x"), 1<<40); err != nil {
		t.Fatal(err)
	}
	blob, err := File(path)
	if err != nil {
		t.Fatal(err)
	}
	p := tree.NewPinner()
	if err := tree.Copy(context.Background(), p, blob, nil); err != nil {
		t.Fatal(err)
	}
	if got := tree.DataOf(p.Blob(blob)); len(got) != 1 || got[0] != (tree.Range{Off: 1 << 40, Len: tree.HoleSize}) {
		t.Errorf("data at %v", got)
	}
	if err := f.Truncate(1 << 30); err != nil {
		t.Fatal(err)
	}
	if err := tree.Copy(context.Background(), tree.NewPinner(), blob, nil); !errors.Is(err, tree.ErrChanged) {
		t.Errorf("a file that has become shorter: %v", err)
	}
}
