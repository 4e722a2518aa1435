package erofs

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"

	"github.com/erofs/go-erofs"
	"github.com/google/go-cmp/cmp"
)

func attr(mode uint16, n int64) *tree.Attr {
	return &tree.Attr{Mode: mode, UID: uint32(n), GID: uint32(2 * n), Mtime: tree.Time{Sec: n}}
}

func sample(t testing.TB) *tree.Tree {
	b := tree.NewBuilder(attr(0o755, 1))
	add := func(path string, n *tree.Node) *tree.Node {
		t.Helper()
		if err := b.Add(path, n, "test"); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i, name := range []string{"plain", "new\nline", "Größe", strings.Repeat("n", 255), "-dash"} {
		add("/names/"+name, tree.NewFile("", attr(0o444, 1), tree.Text(strings.Repeat(name, 100*i))))
		add("/links/"+name, tree.NewSymlink("", attr(0o777, 1), name+"/"+name))
	}
	for i := range 500 {
		add(fmt.Sprintf("/many/%d/x", i), tree.NewFile("", attr(0o555, 70_000), tree.Text(fmt.Sprint(i))))
	}
	target := add("/z/target", tree.NewFile("", attr(0o4555, 1), tree.Text(strings.Repeat("content", 50_000))))
	add("/a/first", tree.NewLink("", target))
	add("/dir", tree.NewDir("", attr(0o1777, 5), nil))
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func write(t testing.TB, tr *tree.Tree) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "erofs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	scratch := t.TempDir()
	w, err := Create(f, scratch, 86400)
	if err != nil {
		t.Fatal(err)
	}
	for path, n := range tr.Walk() {
		err := w.Add(path, n, func(w io.Writer) error {
			r, err := n.Inode().Blob().Open()
			if err != nil {
				return err
			}
			defer r.Close()
			_, err = io.Copy(w, io.NewSectionReader(r, 0, n.Inode().Size()))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	return f
}

// The library reads back what was written, and erofs-utils finds no fault.
func TestRoundTrip(t *testing.T) {
	tr := sample(t)
	f := write(t, tr)
	fsys, err := erofs.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	var planned, found []string
	for path, n := range tr.Walk() {
		n = n.Inode()
		text := n.Target()
		if n.Kind() == tree.File {
			r, _ := n.Blob().Open()
			p, _ := io.ReadAll(io.NewSectionReader(r, 0, n.Size()))
			text = string(p)
		}
		kind := map[tree.Kind]fs.FileMode{tree.Dir: fs.ModeDir, tree.Symlink: fs.ModeSymlink}[n.Kind()]
		planned = append(planned, fmt.Sprintf("%q %v %d %d %d %q", path, kind|fileMode(n.Attr.Mode), n.Attr.UID, n.Attr.GID, n.Attr.Mtime.Sec, text))
		found = append(found, readBack(t, fsys, path))
	}
	if diff := cmp.Diff(planned, found); diff != "" {
		t.Errorf("-planned +found:\n%s", diff)
	}
	hosttest.Need(t, "fsck.erofs")
	if said := hosttest.Run(t, "fsck.erofs", f.Name()); strings.Contains(said, "<E>") {
		t.Errorf("fsck.erofs: %s", said)
	}
}

func readBack(t *testing.T, fsys fs.FS, path string) string {
	t.Helper()
	name := strings.TrimPrefix(path, "/")
	if name == "" {
		name = "."
	}
	info, err := fs.Lstat(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	switch info.Mode().Type() {
	case fs.ModeSymlink:
		text, err = fs.ReadLink(fsys, name)
	case 0:
		var p []byte
		p, err = fs.ReadFile(fsys, name)
		text = string(p)
	}
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*erofs.Stat)
	return fmt.Sprintf("%q %v %d %d %d %q", path, st.Mode, st.UID, st.GID, info.ModTime().Unix(), text)
}

func TestSameBytes(t *testing.T) {
	first, err := os.ReadFile(write(t, sample(t)).Name())
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(write(t, sample(t)).Name())
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("%d and %d bytes differ, %v", len(first), len(second), err)
	}
}

func TestRefused(t *testing.T) {
	w, err := Create(nil, t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []*tree.Node{
		tree.NewSpecial("x", attr(0o644, 1), tree.Fifo),
		tree.NewFile("x", &tree.Attr{Mtime: tree.Time{Sec: -1}}, tree.Text("")),
		tree.NewFile("x", &tree.Attr{Xattrs: []tree.Xattr{{Name: "user.x"}}}, tree.Text("")),
	} {
		if err := w.Add("/x", n, nil); err == nil || !strings.HasPrefix(err.Error(), "/x: ") {
			t.Errorf("got %v", err)
		}
	}
}
