package squashfs

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"

	"github.com/google/go-cmp/cmp"
)

func attr(mode uint16, n int64) *tree.Attr {
	return &tree.Attr{Mode: mode, UID: uint32(n), GID: uint32(2 * n), Mtime: tree.Time{Sec: n}}
}

// sample has every kind of node, and names of any bytes.
func sample(t testing.TB) *tree.Tree {
	b := tree.NewBuilder(&tree.Attr{Mode: 0o755, UID: 7, GID: 8, Mtime: tree.Time{Sec: 3_000_000_000}})
	add := func(path string, n *tree.Node) *tree.Node {
		t.Helper()
		if err := b.Add(path, n, "test"); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i, name := range []string{"plain", "new\nline", "\xff\xfe", "Größe", strings.Repeat("n", 255), "-dash", "back\\slash"} {
		add("/names/"+name, tree.NewFile("", attr(0o444, 1), tree.Text(fmt.Sprint(name, i))))
		add("/links/"+name, tree.NewSymlink("", attr(0o777, 1), name+"/"+name))
	}
	target := add("/z/target", tree.NewFile("", attr(0o555, 1), tree.Text(strings.Repeat("content", 50_000))))
	add("/a/first", tree.NewLink("", target))
	add("/z/zlast", tree.NewLink("", target))
	add("/long", tree.NewSymlink("", attr(0o777, 1), strings.Repeat("x/", 2000)))
	add("/empty", tree.NewFile("", attr(0o4755, 5), tree.Text("")))
	add("/dir", tree.NewDir("", attr(0o1777, 2_000_000_000), nil))
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func content(n *tree.Node) func(io.Writer) error {
	return func(w io.Writer) error {
		r, err := n.Inode().Blob().Open()
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(w, io.NewSectionReader(r, 0, n.Inode().Size()))
		return err
	}
}

func write(t testing.TB, tr *tree.Tree) string { return writeAs(t, tr, Options{Made: 86400}) }

func writeAs(t testing.TB, tr *tree.Tree, o Options) string {
	t.Helper()
	hosttest.Need(t, "sqfstar", "unsquashfs")
	name := filepath.Join(t.TempDir(), "squashfs")
	w, err := Create(t.Context(), name, tr, o)
	if err != nil {
		t.Fatal(err)
	}
	for path, n := range tr.Walk() {
		if err := w.Add(path, n, content(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func line(path string, mode os.FileMode, size, mtime int64, uid int, rest string) string {
	return fmt.Sprintf("%q %v %d %d %d %q", path, mode, size, mtime, uid, rest)
}

func planned(t testing.TB, tr *tree.Tree) (lines []string) {
	for path, n := range tr.Walk() {
		n = n.Inode()
		mode := os.FileMode(n.Attr.Mode & 0o777)
		for bit, m := range map[uint16]os.FileMode{0o4000: os.ModeSetuid, 0o1000: os.ModeSticky} {
			if n.Attr.Mode&bit != 0 {
				mode |= m
			}
		}
		var text bytes.Buffer
		switch n.Kind() {
		case tree.Dir:
			mode |= os.ModeDir
		case tree.Symlink:
			mode |= os.ModeSymlink
			text.WriteString(n.Target())
		default:
			if err := content(n)(&text); err != nil {
				t.Fatal(err)
			}
		}
		lines = append(lines, line(path, mode, int64(text.Len()), n.Attr.Mtime.Sec, int(n.Attr.UID), text.String()))
	}
	return lines
}

func found(t testing.TB, root string, tr *tree.Tree) (lines []string) {
	for path := range tr.Walk() {
		full := root + path
		info, err := os.Lstat(full)
		if err != nil {
			t.Fatal(err)
		}
		var text string
		switch info.Mode().Type() {
		case os.ModeSymlink:
			text, err = os.Readlink(full)
		case 0:
			var p []byte
			p, err = os.ReadFile(full)
			text = string(p)
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line(path, info.Mode(), int64(len(text)), info.ModTime().Unix(), int(info.Sys().(*syscall.Stat_t).Uid), text))
	}
	return lines
}

func TestRoundTrip(t *testing.T) {
	hosttest.NeedRoot(t) // unsquashfs restores owners
	tr := sample(t)
	out, image := filepath.Join(t.TempDir(), "out"), write(t, tr)
	hosttest.Run(t, "unsquashfs", "-q", "-n", "-d", out, image)
	if root, _, _ := strings.Cut(hosttest.Run(t, "unsquashfs", "-UTC", "-lln", image), "\n"); !strings.Contains(root, "drwxr-xr-x 7/8") ||
		!strings.Contains(root, "2065-01-24 05:20") {
		t.Errorf("the root is %s", root)
	}
	if diff := cmp.Diff(planned(t, tr)[1:], found(t, out, tr)[1:]); diff != "" { // unsquashfs leaves the root's time alone
		t.Errorf("-planned +found:\n%s", diff)
	}
	var a, b syscall.Stat_t
	if syscall.Lstat(out+"/a/first", &a) != nil || syscall.Lstat(out+"/z/target", &b) != nil || a.Ino != b.Ino || a.Nlink != 3 {
		t.Errorf("the names of one file are inodes %d and %d with %d names", a.Ino, b.Ino, a.Nlink)
	}
}

func TestSameBytes(t *testing.T) {
	first, err := os.ReadFile(write(t, sample(t)))
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(write(t, sample(t)))
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("%d and %d bytes differ, %v", len(first), len(second), err)
	}
}

// The root's inode may lie anywhere in the inode table, and over the end of a block of it.
func TestRootTime(t *testing.T) {
	hosttest.Need(t, "sqfstar", "unsquashfs")
	for n := 250; n < 262; n++ {
		name := filepath.Join(t.TempDir(), "squashfs")
		w, err := Create(t.Context(), name, empty(t, &tree.Attr{Mode: 0o755, Mtime: tree.Time{Sec: 1e9}}), Options{Made: 1})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := w.Add(fmt.Sprint("/", i), tree.NewFile("", attr(0o444, 1), tree.Text("x")), func(w io.Writer) error {
				_, err := w.Write([]byte("x"))
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		said := hosttest.Run(t, "unsquashfs", "-UTC", "-lln", name)
		if strings.Count(said, " 1970-01-01 00:00 ") != n || strings.Count(said, " 2001-09-09 01:46 squashfs-root\n") != 1 {
			t.Errorf("%d files: %.200s", n, said)
		}
	}
}

// empty is a tree with nothing but its root.
func empty(t testing.TB, root *tree.Attr) *tree.Tree {
	t.Helper()
	tr, err := tree.NewBuilder(root).Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func withXattr(name string) *tree.Node {
	return tree.NewFile("x", &tree.Attr{Xattrs: []tree.Xattr{{Name: name}}}, tree.Text(""))
}

// large is that many zeros.
type large int64

func (n large) Size() int64              { return int64(n) }
func (large) Open() (tree.Reader, error) { return nothing{}, nil }

type nothing struct{}

func (nothing) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }
func (nothing) Close() error                          { return nil }

// An error of a content, or of sqfstar, comes out, and nothing hangs.
func TestErrors(t *testing.T) {
	hosttest.Need(t, "sqfstar")
	root := attr(0o755, 0)
	w, err := Create(t.Context(), filepath.Join(t.TempDir(), "x"), empty(t, root), Options{Made: 1})
	if err != nil {
		t.Fatal(err)
	}
	bad := errors.New("bad content")
	n := tree.NewFile("x", root, tree.Text("12345"))
	if err := w.Add("/x", n, func(io.Writer) error { return bad }); !errors.Is(err, bad) {
		t.Errorf("Add gave %v", err)
	}
	if err := w.Close(); err == nil {
		t.Error("Close gave nothing after half a file")
	}
	w, err = Create(t.Context(), filepath.Join(t.TempDir(), "no", "such", "directory"), empty(t, root), Options{Made: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err = w.Add(fmt.Sprint("/", i), n, content(n)); err != nil {
			break
		}
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "sqfstar") {
		t.Errorf("Close gave %v", err)
	}
	for _, n := range []*tree.Node{
		tree.NewSpecial("x", root, tree.Socket), tree.NewFile("x", &tree.Attr{Mtime: tree.Time{Sec: -1}}, tree.Text("")),
		withXattr("system.posix_acl_access"), withXattr("user."), withXattr("user.a=b"), withXattr("security." + strings.Repeat("x", 250)),
		tree.NewFile("x", root, tree.Sparse(large(MaxFile+1), nil)),
		tree.NewSymlink("x", root, "a\x00b"), tree.NewSymlink("x", root, ""),
	} {
		w := newWriter(io.Discard)
		if err := w.Add("/x", n, nil); err == nil || !strings.HasPrefix(err.Error(), "/x: ") {
			t.Errorf("got %v", err)
		}
	}
}

// FuzzFeed gives any tree to sqfstar's side of the pipe: what Check lets pass arrives there, all of it, and all of the rest is refused.
func FuzzFeed(f *testing.F) {
	for _, p := range partitiontest.Seeds() {
		f.Add(p)
	}
	hosttest.Fuzz(f, func(t *testing.T, p []byte) {
		tr := partitiontest.TreeOf(p, tree.Link, tree.Symlink, tree.CharDevice, tree.BlockDevice)
		var archive bytes.Buffer
		w := newWriter(&archive)
		var failed error
		for path, n := range tr.Walk() {
			failed = errors.Join(failed, w.Add(path, n, content(n)))
		}
		if refused := Check(tr); refused != nil || failed != nil {
			root := errors.Join(checkNode(tr.Root()), checkRoot(tr.Root().Attr)) // which is not in the archive
			if root == nil && (refused == nil) != (failed == nil) {
				t.Errorf("Check gave %v, Add %v", refused, failed)
			}
			return
		}
		if err := w.archive.tar.Close(); err != nil {
			t.Fatal(err)
		}
		r, first := tar.NewReader(&archive), map[*tree.Node]string{}
		for path, n := range tr.Walk() {
			if path != "/" {
				arrives(t, r, path, n.Inode(), first)
			}
		}
		if h, err := r.Next(); err != io.EOF {
			t.Errorf("after the last node: %v, %v", h, err)
		}
	})
}

// arrives compares the next member of an archive with a node.
func arrives(t *testing.T, r *tar.Reader, path string, n *tree.Node, first map[*tree.Node]string) {
	h, err := r.Next()
	if err != nil {
		t.Fatalf("%q: %v", path, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%q: %v", path, err)
	}
	if strings.TrimSuffix(h.Name, "/") != path[1:] || h.Mode != int64(n.Attr.Mode) || h.Uid != int(n.Attr.UID) || h.Gid != int(n.Attr.GID) || h.ModTime.Unix() != n.Attr.Mtime.Sec {
		t.Errorf("%q arrives as %+v", path, h)
	}
	if h.Typeflag == tar.TypeLink {
		if n.Kind() == tree.Dir || h.Linkname != first[n] || first[n] == "" {
			t.Errorf("%q is a link to %q", path, h.Linkname)
		}
		return
	}
	first[n] = path[1:]
	var want bytes.Buffer
	if n.Kind() == tree.File {
		if err := content(n)(&want); err != nil {
			t.Fatal(err)
		}
	}
	if h.Typeflag == tar.TypeGNUSparse { // a file with holes
		h.Typeflag = tar.TypeReg
	}
	if h.Typeflag != types[n.Kind()] || h.Linkname != n.Target() || !bytes.Equal(text, want.Bytes()) ||
		(tree.Device{Major: uint32(h.Devmajor), Minor: uint32(h.Devminor)}) != n.Device() {
		t.Errorf("%q arrives as %+v with %d bytes", path, h, len(text))
	}
}
