package cpio

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

func attr(mode uint16) *tree.Attr {
	return &tree.Attr{Mode: mode, UID: 7, GID: 70_000, Mtime: tree.Time{Sec: 5}}
}

// A place is a node with its path.
type place struct {
	path string
	n    *tree.Node
}

func treeOf(t testing.TB, places ...place) *tree.Tree {
	t.Helper()
	b := tree.NewBuilder(attr(0o755))
	for _, x := range places {
		if err := b.Add(x.path, x.n, "test"); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// archive is the archive of a tree.
func archive(tr *tree.Tree) ([]byte, error) {
	var out bytes.Buffer
	w := NewWriter(&out, tr)
	for path, n := range tr.Walk() {
		err := w.Add(path, n, func(to io.Writer) error {
			p, err := tree.ReadAll(n.Inode().Blob(), 1<<20)
			if err == nil {
				_, err = to.Write(p)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// A member as a reader of the format sees it.
type member struct {
	name, content string
	field         [13]int64
}

// members reads an archive as Linux does.
func members(t *testing.T, p []byte) (list []member) {
	t.Helper()
	for at := 0; ; {
		if at+110 > len(p) || string(p[at:at+6]) != "070701" {
			t.Fatalf("no header at %d of %d", at, len(p))
		}
		var m member
		for i := range m.field {
			n, err := strconv.ParseUint(string(p[at+6+8*i:at+14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			m.field[i] = int64(n)
		}
		end := at + 110 + int(m.field[11])
		m.name = string(p[at+110 : end-1])
		at = (end + 3) &^ 3
		m.content = string(p[at : at+int(m.field[6])])
		at = (at + int(m.field[6]) + 3) &^ 3
		if m.name == trailer {
			if at != len(p) {
				t.Errorf("%d bytes after the end", len(p)-at)
			}
			return list
		}
		list = append(list, m)
	}
}

// Every kind of node arrives, and a further name of a file is a link to it.
func TestArchive(t *testing.T) {
	file := tree.NewFile("", attr(0o4755), tree.Text("content"))
	p, err := archive(treeOf(t,
		place{"/bin/file", file}, place{"/zz", tree.NewLink("", file)}, place{"/link", tree.NewSymlink("", attr(0o777), "bin/file")},
		place{"/dev/null", tree.NewDevice("", attr(0o666), tree.CharDevice, tree.Device{Major: 1, Minor: 3})},
		place{"/empty", tree.NewFile("", attr(0o600), tree.Text(""))}, place{"/fifo", tree.NewSpecial("", attr(0o600), tree.Fifo)},
		place{"/new\nline \xff", tree.NewFile("", attr(0o644), tree.Text("1"))},
	))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, m := range members(t, p) {
		fmt.Fprintf(&got, "%q %o %d:%d links %d time %d device %d:%d %q inode %d\n",
			m.name, m.field[1], m.field[2], m.field[3], m.field[4], m.field[5], m.field[9], m.field[10], m.content, m.field[0])
	}
	want := `"." 40755 7:70000 links 2 time 5 device 0:0 "" inode 1
"bin" 40755 7:70000 links 2 time 5 device 0:0 "" inode 2
"bin/file" 104755 7:70000 links 2 time 5 device 0:0 "content" inode 3
"dev" 40755 7:70000 links 2 time 5 device 0:0 "" inode 4
"dev/null" 20666 7:70000 links 1 time 5 device 1:3 "" inode 5
"empty" 100600 7:70000 links 1 time 5 device 0:0 "" inode 6
"fifo" 10600 7:70000 links 1 time 5 device 0:0 "" inode 7
"link" 120777 7:70000 links 1 time 5 device 0:0 "bin/file" inode 8
"new\nline \xff" 100644 7:70000 links 1 time 5 device 0:0 "1" inode 9
"zz" 104755 7:70000 links 2 time 5 device 0:0 "" inode 3
`
	if got.String() != want {
		t.Errorf("got\n%s", got.String())
	}
}

func TestRefused(t *testing.T) {
	for _, x := range []place{
		{"/" + trailer, tree.NewFile("", attr(0o644), tree.Text(""))},
		{"/x", tree.NewFile("", &tree.Attr{Xattrs: []tree.Xattr{{Name: "user.x"}}}, tree.Text(""))},
		{"/t", tree.NewFile("", &tree.Attr{Mtime: tree.Time{Sec: -1}}, tree.Text(""))},
		{"/l", tree.NewSymlink("", attr(0o777), strings.Repeat("x", 5000))},
	} {
		tr := treeOf(t, x)
		_, failed := archive(tr)
		if refused := Check(tr); refused == nil || failed == nil || !strings.HasPrefix(refused.Error(), x.path+": ") {
			t.Errorf("%s: %v, %v", x.path, refused, failed)
		}
	}
	file := tree.NewFile("", attr(0), tree.Text("12"))
	if err := NewWriter(io.Discard, treeOf(t)).Add("/x", file, func(io.Writer) error { return nil }); err == nil {
		t.Error("a content that is too short")
	}
}

// FuzzArchive writes an archive with any name and content, and reads it back.
func FuzzArchive(f *testing.F) {
	f.Add("name", []byte("content"))
	f.Add(trailer, []byte{})
	f.Add("\n", []byte("070701"))
	hosttest.Fuzz(f, func(t *testing.T, name string, content []byte) {
		b := tree.NewBuilder(attr(0o755))
		if b.Add("/"+name, tree.NewFile("", attr(0o644), tree.Text(string(content))), "test") != nil {
			return
		}
		tr, err := b.Tree()
		if err != nil {
			return
		}
		p, failed := archive(tr)
		if refused := Check(tr); (refused == nil) != (failed == nil) {
			t.Fatalf("Check gave %v, Add %v", refused, failed)
		}
		if failed != nil {
			return
		}
		list, i := members(t, p), 0
		for path, n := range tr.Walk() {
			want := ""
			if n.Kind() == tree.File {
				want = string(content)
			}
			if path != "/" && list[i].name != path[1:] || list[i].content != want {
				t.Errorf("%q arrives as %+v", path, list[i])
			}
			i++
		}
	})
}
