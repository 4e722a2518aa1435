package xorriso

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"testing"

	"imprint/partition/iso9660"
	"imprint/internal/tree"

	"github.com/google/go-cmp/cmp"
	other "github.com/kdomanski/iso9660"
)

// What we write, our reader and kdomanski/iso9660 see alike: names, kinds, permissions, sizes and bytes. The latter sees no attributes of the
// root, no Rock Ridge in directories of more than one block, and nothing of link targets.
func TestReadersAgree(t *testing.T) {
	s := newSource(t)
	for i, name := range []string{"plain", "UPPER", "Größe", "a b", "trailing.", strings.Repeat("n", 200)} {
		s.add("/names/"+name, tree.NewFile("", attr(0o640, 7), s.host(fmt.Sprint(i), strings.Repeat(name, 1000*i))))
		s.add("/a/b/c/d/e/f/g/h/"+name+"/link", tree.NewSymlink("", attr(0o777, 1), name))
	}
	first := s.add("/bin/tool", tree.NewFile("", attr(0o555, 1), s.host("tool", strings.Repeat("tool", 5000))))
	s.add("/bin/again", tree.NewLink("", first))
	img := image(s.tree())
	img.Boot.ESP = tree.Text(strings.Repeat("EFI\n", 1<<18))
	content := write(t, img)
	v, err := iso9660.Read(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]string{}
	for path, n := range v.Tree.Walk() {
		var content []byte
		if n.Kind() == tree.File {
			r, _ := n.Blob().Open()
			content, err = io.ReadAll(io.NewSectionReader(r, 0, n.Size()))
			if err != nil {
				t.Fatal(err)
			}
		}
		ours[path] = seen(path, n.Kind(), n.Attr.Mode, content)
	}
	theirImage, err := other.OpenImage(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	root, err := theirImage.RootDir()
	if err != nil {
		t.Fatal(err)
	}
	theirs := map[string]string{}
	walkOther(t, "/", root, theirs)
	if diff := cmp.Diff(ours, theirs); diff != "" {
		t.Errorf("-ours +theirs:\n%s", diff)
	}
}

func seen(path string, kind tree.Kind, mode uint16, content []byte) string {
	if kind == tree.Symlink || path == "/" {
		mode = 0
	}
	return fmt.Sprintf("%v %o %q", kind, mode, content)
}

func walkOther(t *testing.T, at string, f *other.File, all map[string]string) {
	kind := tree.File
	var content []byte
	switch {
	case f.IsDir():
		kind = tree.Dir
	case f.Mode()&os.ModeSymlink != 0:
		kind = tree.Symlink
	default:
		var err error
		if content, err = io.ReadAll(f.Reader()); err != nil {
			t.Fatal(err)
		}
	}
	all[at] = seen(at, kind, uint16(f.Mode().Perm()), content)
	if kind != tree.Dir {
		return
	}
	kids, err := f.GetChildren()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kids {
		walkOther(t, path.Join(at, k.Name()), k, all)
	}
}
