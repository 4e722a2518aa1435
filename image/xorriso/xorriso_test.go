package xorriso

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/partition/iso9660"
	"imprint/internal/hosttest"
	"imprint/internal/hosttree"
	"imprint/internal/repro"
	"imprint/internal/tree"

	"github.com/google/go-cmp/cmp"
)

// attr are attributes with owner, group and time told by one number.
func attr(mode uint16, n int64) *tree.Attr {
	return &tree.Attr{Mode: mode, UID: uint32(n), GID: uint32(2 * n), Mtime: tree.Time{Sec: n}}
}

// A source is a tree in the making, with files of the host in a directory of its own.
type source struct {
	t   testing.TB
	dir string
	b   *tree.Builder
}

func newSource(t testing.TB) source {
	return source{t, t.TempDir(), tree.NewBuilder(attr(0o755, 1))}
}

func (s source) add(path string, n *tree.Node) *tree.Node {
	s.t.Helper()
	if err := s.b.Add(path, n, "test"); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// host makes a file of the host.
func (s source) host(name, content string) tree.Blob {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
		s.t.Fatal(err)
	}
	b, err := hosttree.File(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s source) tree() *tree.Tree {
	s.t.Helper()
	t, err := s.b.Tree()
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

// odd has every kind of name, target, attribute and content that an image carries.
func odd(t testing.TB) source {
	s := newSource(t)
	big := strings.Repeat("0123456789abcdef", 400)
	for i, name := range []string{
		"new\nline", "\xff\xfe", "Größe", "a b", `back\slash`, `quo"te'`, "*?[a]", "-dash", "--", "UPPER.TXT", "upper.txt", "#", "=", strings.Repeat("n", 253), "\t\x7f",
		"trailing.", "semi;1",
	} {
		s.add("/names/"+name, tree.NewFile("", attr(0o444, 1), s.host(fmt.Sprint("odd \n\xff:", i), fmt.Sprint(big, i))))
		s.add("/dirs/"+name+"/x", tree.NewFile("", attr(0o600, 7), tree.Text(name)))
	}
	for i, target := range []string{
		"a", "/", "/a/b", "../..", ".", "./a", "a//b", "//a", strings.Repeat("t", 253), strings.Repeat("t", 249) + "/u", strings.Repeat("d/", 511) + "e", "new\nline", "\xff",
	} {
		s.add(fmt.Sprint("/links/", i), tree.NewSymlink("", attr(0o777, 1), target))
	}
	for i := range int64(300) {
		dir := fmt.Sprintf("/many/%03d", i)
		s.add(dir, tree.NewDir("", attr(0o555, 1), nil))
		s.add(dir+"/bin/x", tree.NewFile("", attr(0o555, 1), s.host(fmt.Sprint("x", i), fmt.Sprint("x", i))))
		s.add(dir+"/y", tree.NewFile("", attr(0o444, 1+i%2), tree.Text(fmt.Sprint("y", i))))
	}
	for i := range 80 {
		s.add(fmt.Sprintf("/many/100/deep/%d/z", i), tree.NewFile("", attr(0o444, 1), tree.Text("z")))
	}
	for i := range 70 { // large directories in large ones, with names like those of the directories that are built aside
		s.add(fmt.Sprintf("/many/0/%d/x", i), tree.NewFile("", attr(0o444, 1), tree.Text("z")))
		s.add(fmt.Sprintf("/many/0/1/%d/x", i), tree.NewFile("", attr(0o444, 1), tree.Text("z")))
	}
	for i := range 20 { // long lines of the script
		s.add("/"+strings.Repeat(strings.Repeat("\xff", 249)+"/", 12)+fmt.Sprint(strings.Repeat("\xfe", 240), i), tree.NewFile("", attr(0o444, 1), tree.Text("")))
	}
	if err := os.Symlink(s.dir, s.dir+"/elsewhere"); err != nil {
		t.Fatal(err)
	}
	s.host("far", "far away")
	if err := os.Symlink("elsewhere/far", s.dir+"/near"); err != nil {
		t.Fatal(err)
	}
	near, err := hosttree.File(s.dir + "/near")
	if err != nil {
		t.Fatal(err)
	}
	s.add("/near", tree.NewFile("", attr(0o444, 1), near))
	s.add("/deep"+strings.Repeat("/d", 100)+"/end", tree.NewFile("", attr(0o4755, 99), tree.Text("end")))
	s.add("/empty", tree.NewFile("", attr(0o400, 1), tree.Text("")))
	s.add("/emptydir", tree.NewDir("", attr(0o1777, 5), nil))
	s.add("/late", tree.NewFile("", attr(0o644, maxTime), tree.Text("late")))
	s.add("/early", tree.NewFile("", attr(0o644, 0), tree.Text("early")))
	one := s.host("one", "one file of the host for two") // as in a store whose equal files are linked
	for i, b := range []tree.Blob{tree.Text("generated"), s.host("first", "first of several"), s.host("second", "second of several"), one, tree.Sparse(one, nil)} {
		first := s.add(fmt.Sprint("/several/", i), tree.NewFile("", attr(0o444, 3), b))
		s.add(fmt.Sprint("/names/also ", i), tree.NewLink("", first))
		s.add(fmt.Sprint("/zzz/also ", i), tree.NewLink("", first))
	}
	return s
}

func write(t testing.TB, img Image) []byte {
	t.Helper()
	hosttest.Need(t, "xorriso")
	img.Scratch = t.TempDir()
	f, err := os.Create(filepath.Join(t.TempDir(), "iso"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Write(t.Context(), img, f); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(img.Scratch); err != nil || len(left) > 0 {
		t.Errorf("xorriso left %v in the scratch directory, %v", left, err)
	}
	content, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func image(tr *tree.Tree) Image {
	return Image{Tree: tr, VolumeID: "ODD_1", Created: 86400, Modified: 1e9, DiskGUID: repro.SeedOf("x").UUID("disk")}
}

// listing has a line for every path of a tree, with all that the node is.
func listing(t testing.TB, tr *tree.Tree) []string {
	t.Helper()
	var lines []string
	for path, n := range tr.Walk() {
		n = n.Inode()
		line := fmt.Sprintf("%q %v %+v %q", path, n.Kind(), *n.Attr, n.Target())
		if n.Kind() == tree.File {
			r, err := n.Blob().Open()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(io.NewSectionReader(r, 0, n.Size()))
			if err != nil {
				t.Fatal(err)
			}
			line += fmt.Sprintf(" %q", content)
			r.Close()
		}
		lines = append(lines, line)
	}
	return lines
}

// Whatever Check lets through can be read back as it was.
func TestRoundTrip(t *testing.T) {
	s := odd(t)
	content := write(t, image(s.tree()))
	v, err := iso9660.Read(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if v.ID != "ODD_1" || v.UUID() != UUID(1e9) || v.Created != "1970010200000000" {
		t.Errorf("volume %q, UUID %s, created %s", v.ID, v.UUID(), v.Created)
	}
	if diff := cmp.Diff(listing(t, s.tree()), listing(t, v.Tree)); diff != "" {
		t.Errorf("-written +read:\n%s", diff)
	}
}

// An image depends on nothing of the host: neither inode numbers, nor hard links, owners, modes and times, nor where things lie.
func TestSameBytes(t *testing.T) {
	first, second := odd(t), odd(t)
	for i := 299; i >= 0; i-- { // other inode numbers, in another order
		name := filepath.Join(second.dir, fmt.Sprint("x", i))
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		os.Rename(name, name+".old")
		if err := os.WriteFile(name, content, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	a, b := write(t, image(first.tree())), write(t, image(second.tree()))
	if !bytes.Equal(a, b) {
		t.Errorf("images of %d and %d bytes differ", len(a), len(b))
	}
}

// Startup files of the host, such as /etc/xorriso/xorriso.conf, are read unless the first argument forbids it.
func TestNoStartupFiles(t *testing.T) {
	if arguments[0] != "-no_rc" {
		t.Errorf("the first argument is %q", arguments[0])
	}
}

// The boot catalog takes no name from the tree.
func TestBootCatalog(t *testing.T) {
	s := newSource(t)
	s.add("/boot.cat", tree.NewFile("", attr(0o444, 1), tree.Text("mine")))
	s.add("/boot.cat_/x", tree.NewFile("", attr(0o444, 1), tree.Text("mine too")))
	img := image(s.tree())
	img.Boot.ESP = tree.Text(strings.Repeat("EFI\n", 1<<18))
	content := write(t, img)
	v, err := iso9660.Read(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(listing(t, s.tree()), listing(t, v.Tree)); diff != "" {
		t.Errorf("-written +read:\n%s", diff)
	}
	if len(v.Boot) != 1 || v.Boot[0].Platform != iso9660.UEFI || string(content[v.Boot[0].Offset:][:4]) != "EFI\n" {
		t.Errorf("it boots %+v", v.Boot)
	}
}

// A file of more than 4 GiB arrives whole.
func TestLargeFile(t *testing.T) {
	if os.Getenv("IMPRINT_SLOW") != "1" {
		t.Skip("writes 4 GiB: IMPRINT_SLOW=1")
	}
	hosttest.Need(t, "xorriso")
	s := newSource(t)
	s.host("large", "begin")
	const size = 4<<30 + 12345
	f, err := os.OpenFile(filepath.Join(s.dir, "large"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("end"), size-3); err != nil {
		t.Fatal(err)
	}
	b, err := hosttree.File(filepath.Join(s.dir, "large"))
	if err != nil {
		t.Fatal(err)
	}
	s.add("/large", tree.NewFile("", attr(0o444, 1), b))
	s.add("/small", tree.NewFile("", attr(0o444, 1), s.host("small", "small")))
	img := image(s.tree())
	img.Scratch = t.TempDir()
	out, err := os.Create(filepath.Join(s.dir, "iso"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := Write(t.Context(), img, out); err != nil {
		t.Fatal(err)
	}
	info, err := out.Stat()
	if err != nil {
		t.Fatal(err)
	}
	v, err := iso9660.Read(out, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	n := v.Tree.Find("/large")
	r, err := n.Blob().Open()
	if err != nil || n.Size() != size {
		t.Fatalf("%d bytes, %v", n.Size(), err)
	}
	p := make([]byte, 3)
	if _, err := r.ReadAt(p, size-3); err != nil && err != io.EOF || string(p) != "end" {
		t.Errorf("it ends in %q, %v", p, err)
	}
}

func TestCheck(t *testing.T) {
	for name, n := range map[string]*tree.Node{
		"name of 254 bytes":          tree.NewFile(strings.Repeat("n", 254), attr(0o644, 1), tree.Text("")),
		"link target of 1024 bytes":  tree.NewSymlink("x", attr(0o777, 1), strings.Repeat("a/", 511)+"ab"),
		"ends in a slash":            tree.NewSymlink("x", attr(0o777, 1), "a/"),
		"empty link target":          tree.NewSymlink("x", attr(0o777, 1), ""),
		"name of 254 bytes in the":   tree.NewSymlink("x", attr(0o777, 1), "a/"+strings.Repeat("n", 254)),
		"fifo cannot be":             tree.NewSpecial("x", attr(0o644, 1), tree.Fifo),
		"character device cannot be": tree.NewDevice("x", attr(0o644, 1), tree.CharDevice, tree.Device{Major: 1, Minor: 3}),
		"time -1":                    tree.NewFile("x", &tree.Attr{Mtime: tree.Time{Sec: -1}}, tree.Text("")),
		"time 5869584000":            tree.NewFile("x", &tree.Attr{Mtime: tree.Time{Sec: maxTime + 1}}, tree.Text("")),
		`"user.a" cannot be`:         tree.NewFile("x", &tree.Attr{Xattrs: []tree.Xattr{{Name: "user.a"}}}, tree.Text("")),
	} {
		s := newSource(t)
		s.add("/dir/"+n.Name, n)
		err := Check(s.tree())
		if err == nil || !strings.Contains(err.Error(), name) || !strings.HasPrefix(err.Error(), "/dir/"+n.Name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
