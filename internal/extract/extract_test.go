package extract

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// sample is a tree with a node of every kind.
func sample(t *testing.T) []tree.Walked {
	t.Helper()
	at := func(mode uint16, xattrs ...tree.Xattr) *tree.Attr {
		return &tree.Attr{Mode: mode, UID: 0, GID: 0, Mtime: tree.Time{Sec: 1234, Nsec: 500}, Xattrs: xattrs}
	}
	b := tree.NewBuilder(at(0o755))
	file := tree.NewFile("", at(0o640, tree.Xattr{Name: "user.a", Value: []byte("b\x00c")}, tree.Xattr{Name: "user.empty"}), tree.Text("content"))
	for _, add := range []struct {
		path string
		node *tree.Node
	}{
		{"/top/file", file}, {"/top/dir", tree.NewDir("", at(0o1777), nil)}, {"/top/link", tree.NewSymlink("", at(0o777), "../../etc")},
		{"/top/null", tree.NewDevice("", at(0o666), tree.CharDevice, tree.Device{Major: 1, Minor: 3})},
		{"/top/fifo", tree.NewSpecial("", at(0o600), tree.Fifo)}, {"/top/socket", tree.NewSpecial("", at(0o600), tree.Socket)},
		{"/top/same", tree.NewLink("", file)},
	} {
		if err := b.Add(add.path, add.node, ""); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return []tree.Walked{{Path: "/top", Node: tr.Find("/top")}}
}

// paths are those of what was omitted.
func paths(list []Omission) (names []string) {
	for _, o := range list {
		names = append(names, o.Path)
	}
	return slices.Compact(names)
}

func TestDirectory(t *testing.T) {
	name := t.TempDir()
	dir, err := os.OpenRoot(name)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	omitted, err := Directory(t.Context(), dir, sample(t), Options{Owners: os.Geteuid() == 0})
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 10)
	n, err := unix.Getxattr(filepath.Join(name, "top/file"), "user.a", value)
	want := []string{"top/fifo", "top/null", "top/socket"}
	if errors.Is(err, unix.ENOTSUP) {
		want = []string{"top/fifo", "top/file", "top/null", "top/socket"}
	} else if err != nil || string(value[:n]) != "b\x00c" {
		t.Errorf("attribute %q, %v", value[:max(0, n)], err)
	}
	if got := paths(omitted); !slices.Equal(got, want) {
		t.Errorf("omitted %q", omitted)
	}
	for path, want := range map[string]string{"top/file": "-rw-r----- 7", "top/link": "Lrwxrwxrwx", "top/same": "-rw-r----- 7"} {
		info, err := dir.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(info.Mode(), " ", info.Size()); !strings.HasPrefix(got, want) || info.ModTime().UnixNano() != 1234e9+500 {
			t.Errorf("%s: %s, %v", path, got, info.ModTime())
		}
	}
	a, _ := dir.Stat("top/file")
	if b, _ := dir.Stat("top/same"); !os.SameFile(a, b) {
		t.Error("a hard link became another file")
	}
	if _, err := Directory(t.Context(), dir, sample(t), Options{Owners: false}); !errors.Is(err, os.ErrExist) {
		t.Errorf("over what is there: %v", err)
	}
}

func TestArchive(t *testing.T) {
	var out bytes.Buffer
	omitted, err := Archive(t.Context(), &out, sample(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := paths(omitted); !slices.Equal(got, []string{"top/file", "top/socket"}) {
		t.Errorf("omitted %q", omitted)
	}
	var got []string
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || h.ModTime.UnixNano() != 1234e9+500 && h.Name != "top/" {
			t.Errorf("%s: %v, %v", h.Name, h.ModTime, err)
		}
		got = append(got, fmt.Sprintf("%c %s %o %s %d:%d %q %s", h.Typeflag, h.Name, h.Mode, h.Linkname, h.Devmajor, h.Devminor,
			h.PAXRecords["SCHILY.xattr.user.a"], content))
	}
	want := []string{
		`5 top/ 755  0:0 "" `, `5 top/dir/ 1777  0:0 "" `, `6 top/fifo 600  0:0 "" `, `0 top/file 640  0:0 "b\x00c" content`,
		`2 top/link 777 ../../etc 0:0 "" `, `3 top/null 666  1:3 "" `, `1 top/same 640 top/file 0:0 "" `,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// An end of the context ends both.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if _, err := Archive(ctx, io.Discard, sample(t)); !errors.Is(err, stop) {
		t.Error(err)
	}
	dir, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := Directory(ctx, dir, sample(t), Options{Owners: false}); !errors.Is(err, stop) {
		t.Error(err)
	}
}
