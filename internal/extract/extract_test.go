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

	"imprint/internal/hosttest"
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
	if got := paths(omitted); !slices.Equal(got, []string{"top/socket"}) {
		t.Errorf("omitted %q", omitted)
	}
	want := []string{
		`5 top/ 755  0:0 "" `, `5 top/dir/ 1777  0:0 "" `, `6 top/fifo 600  0:0 "" `, `0 top/file 640  0:0 "b\x00c" content`,
		`2 top/link 777 ../../etc 0:0 "" `, `3 top/null 666  1:3 "" `, `1 top/same 640 top/file 0:0 "" `,
	}
	if got := members(t, &out); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// members are what package archive/tar reads.
func members(t *testing.T, in io.Reader) (got []string) {
	t.Helper()
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || h.ModTime.UnixNano() != 1234e9+500 && h.Name != "top/" {
			t.Errorf("%s: %v, %v", h.Name, h.ModTime, err)
		}
		got = append(got, fmt.Sprintf("%c %s %o %s %d:%d %q %s", h.Typeflag, h.Name, h.Mode, h.Linkname, h.Devmajor, h.Devminor,
			h.PAXRecords["SCHILY.xattr.user.a"], bytes.TrimLeft(content, "\x00")))
	}
}

// rich is a root with a file that is mostly a hole, with an access control list and a further name.
func rich(t *testing.T) *tree.Node {
	t.Helper()
	acl := "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x07\x00\x05\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x06\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff"
	attr := &tree.Attr{Mode: 0o660, UID: 7, Mtime: tree.Time{Sec: 1234, Nsec: 500}, Xattrs: []tree.Xattr{
		{Name: "system.posix_acl_access", Value: []byte(acl)}, {Name: "user.empty"}, {Name: "user.more", Value: []byte("more")},
	}}
	hole := tree.NewFile("", attr, tree.Sparse(tree.Text(strings.Repeat("\x00", 8<<20)+"end"), []tree.Range{{Off: 8 << 20, Len: 3}}))
	b := tree.NewBuilder(&tree.Attr{Mode: 0o711, UID: 3, Mtime: tree.Time{Sec: 1234, Nsec: 500}})
	for path, n := range map[string]*tree.Node{"/a/hole": hole, "/b/a": tree.NewFile("", attr, tree.Text("other")), "/b/again": tree.NewLink("", hole)} {
		if err := b.Add(path, n, ""); err != nil {
			t.Fatal(err)
		}
	}
	made, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return made.Root()
}

// A root keeps its attributes, and names below it begin with "./". Parts of a tree begin with their own names; what is linked between them stays so.
func TestArchiveNames(t *testing.T) {
	root := rich(t)
	a, b := tree.Walked{Path: "/a", Node: root.Child("a")}, tree.Walked{Path: "/b", Node: root.Child("b")}
	for _, test := range []struct {
		tops []tree.Walked
		want string
	}{
		{[]tree.Walked{{Path: "/", Node: root}}, `5 ./ 711|5 ./a/ 711|0 ./a/hole 660|5 ./b/ 711|0 ./b/a 660|1 ./b/again 660 ./a/hole`},
		{[]tree.Walked{b, a}, `5 a/ 711|0 a/hole 660|5 b/ 711|0 b/a 660|1 b/again 660 a/hole`},
		{[]tree.Walked{b}, `5 b/ 711|0 b/a 660|0 b/again 660`},
		{[]tree.Walked{{Path: "/b/again", Node: b.Node.Child("again")}}, `0 again 660`},
	} {
		var out bytes.Buffer
		if _, err := Archive(t.Context(), &out, test.tops); err != nil {
			t.Fatal(err)
		}
		if out.Len() > 20<<10 {
			t.Errorf("%d bytes with a hole of 8 MiB", out.Len())
		}
		var short []string
		for _, line := range members(t, &out) {
			line, _, _ = strings.Cut(line, " 0:0 ")
			short = append(short, strings.TrimSpace(line))
		}
		if got := strings.Join(short, "|"); got != test.want {
			t.Errorf("got\n%s\nwant\n%s", got, test.want)
		}
	}
	again := tree.Walked{Path: "/b/a", Node: b.Node.Child("a")}
	_, err := Archive(t.Context(), io.Discard, []tree.Walked{a, again})
	if want := "/b/a: there is another a in the archive already"; err == nil || err.Error() != want {
		t.Errorf("two of one name: %v", err)
	}
}

// GNU tar lists attributes, access control lists, devices and sizes.
func TestGNUTarLists(t *testing.T) {
	hosttest.Need(t, "tar")
	file := filepath.Join(t.TempDir(), "x.tar")
	var out bytes.Buffer
	if _, err := Archive(t.Context(), &out, append(sample(t), tree.Walked{Path: "/a/hole", Node: rich(t).Child("a").Child("hole")})); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	text := hosttest.Run(t, "tar", "--xattrs", "--acls", "--numeric-owner", "--full-time", "-tvvf", file)
	list := strings.Join(strings.Fields(text), " ")
	for _, want := range []string{"0/0 1,3 1970-01-01 00:20:34.0000005 top/null", "top/same link to top/file",
		"7/0 8388611 1970-01-01 00:20:34.0000005 hole a: user::rw-,user:5:rwx,group::r--,mask::rw-,other::--- x: 0 user.empty x: 4 user.more"} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
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
