package pax_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/pax"
	"imprint/internal/tree"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// some has every kind of node, long names, numbers that need records, attributes and holes.
func some(t testing.TB) *tree.Tree {
	t.Helper()
	root := &tree.Attr{Mode: 0o755}
	attr := &tree.Attr{Mode: 0o6711, UID: 3 << 20, GID: 5, Mtime: tree.Time{Sec: -3, Nsec: 250_000_000}}
	acl := "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x07\x00\x01\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x06\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff"
	special := &tree.Attr{Mode: 0o660, UID: 7, Mtime: tree.Time{Sec: 1 << 33}, Xattrs: []tree.Xattr{
		{Name: "system.posix_acl_access", Value: []byte(acl)}, {Name: "user.a=b%", Value: []byte("c\x00=\n")}, {Name: "user.empty"},
	}}
	hole := tree.Sparse(tree.Text(strings.Repeat("\x00", 1<<20)+"end"), []tree.Range{{Off: 1 << 20, Len: 3}})
	late := tree.Sparse(tree.Text("begin"+strings.Repeat("\x00", 1<<20)), []tree.Range{{Off: 0, Len: 5}})
	long := strings.Repeat("l", 250)
	first := tree.NewFile("z", special, tree.Text("shared"))
	device := tree.NewDevice("null", root, tree.CharDevice, tree.Device{Major: 4095, Minor: 1048575})
	b := tree.NewBuilder(root)
	for path, n := range map[string]*tree.Node{
		"/b/a": tree.NewLink("", first), "/b/z": first, "/b/zz": tree.NewLink("", first), "/empty": tree.NewFile("", attr, tree.Text("")),
		"/" + long + "/" + long: tree.NewFile("", attr, tree.Text("x")), "/" + strings.Repeat("p", 99) + "/" + strings.Repeat("n", 80): tree.NewFile("", root, tree.Text("y")),
		"/link": tree.NewSymlink("", &tree.Attr{Mode: 0o777, UID: 9}, strings.Repeat("t/", 300)), "/null": device, "/null2": tree.NewLink("", device),
		"/pipe": tree.NewSpecial("", root, tree.Fifo), "/disk": tree.NewDevice("", root, tree.BlockDevice, tree.Device{Major: 8, Minor: 1}),
		"/hole": tree.NewFile("", root, hole), "/late": tree.NewFile("", root, late), "/nothing": tree.NewFile("", root, tree.Sparse(tree.Text(strings.Repeat("\x00", 1<<17)), nil)),
		"/h\xc3\xa4\xff": tree.NewFile("", root, tree.Text(strings.Repeat("block", 1000))),
	} {
		if err := b.Add(path, n, ""); err != nil {
			t.Fatal(err)
		}
	}
	return built(t, b)
}

func built(t testing.TB, b *tree.Builder) *tree.Tree {
	t.Helper()
	made, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func layout(t testing.TB, made *tree.Tree, o pax.Options) *pax.Layout {
	t.Helper()
	l, err := pax.New(made, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func archive(t testing.TB, l *pax.Layout) []byte {
	t.Helper()
	p := make([]byte, l.Size())
	if err := extent.ReadAt(l, p, 0); err != nil {
		t.Fatal(err)
	}
	return p
}

// listed returns the entries of an archive as package archive/tar reads them, a line for each.
func listed(t testing.TB, p []byte) (lines []string) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(p))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", h.Name, err)
		}
		xattrs := map[string]string{}
		for key, value := range h.PAXRecords {
			if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
				xattrs[name] = value
			}
		}
		lines = append(lines, fmt.Sprintf("%q %c %o %d:%d %v %d:%d %q %q %q", h.Name, h.Typeflag, h.Mode, h.Uid, h.Gid, h.ModTime.UTC().Format(time.RFC3339Nano),
			h.Devmajor, h.Devminor, h.Linkname, short(content), xattrs))
	}
}

// short returns a content without most of the zeros in it.
func short(p []byte) string {
	return strings.ReplaceAll(string(p), strings.Repeat("\x00", 1<<14), "(hole)")
}

// Package archive/tar reads everything back, with holes omitted and not, and parts that begin anywhere read as the whole does.
func TestArchive(t *testing.T) {
	made := some(t)
	plain, sparse := layout(t, made, pax.Options{}), layout(t, made, pax.Options{Sparse: true})
	all := archive(t, plain)
	want := listed(t, all)
	if d := cmp.Diff(want, listed(t, archive(t, sparse))); d != "" {
		t.Errorf("without holes: %s", d)
	}
	if sparse.Size() > plain.Size()-2<<20 {
		t.Errorf("%d bytes without holes, %d with them", sparse.Size(), plain.Size())
	}
	text := strings.Join(want, "\n")
	for _, line := range []string{
		`"./" 5 755 0:0 1970-01-01T00:00:00Z 0:0 "" "" map[]`,
		`"./b/a" 0 660 7:0 2242-03-16T12:56:32Z 0:0 "" "shared"`, `"./b/z" 1 660 7:0 2242-03-16T12:56:32Z 0:0 "./b/a" ""`, `"user.a%3Db%25":"c\x00=\n"`,
		`"./empty" 0 6711 3145728:5 1969-12-31T23:59:57.25Z 0:0 "" ""`, `"./null" 3 755 0:0 1970-01-01T00:00:00Z 4095:1048575`, `"./null2" 1 755`, `"./pipe" 6`, `"./disk" 4`,
		`0:0 "` + strings.Repeat("t/", 300) + `"`, `"./h` + "ä" + `\xff" 0`, `"./` + strings.Repeat("p", 99) + "/" + strings.Repeat("n", 80) + `" 0`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
	for _, at := range []int64{0, 511, 512, 5000, plain.Size() - 1} {
		p := make([]byte, min(3000, plain.Size()-at))
		if err := extent.ReadAt(plain, p, at); err != nil || !bytes.Equal(p, all[at:at+int64(len(p))]) {
			t.Errorf("at %d: other bytes, or %v", at, err)
		}
	}
}

// Place and Extents agree.
func TestPlace(t *testing.T) {
	made := some(t)
	for _, o := range []pax.Options{{}, {Sparse: true}, {Parts: [][]pax.Span{{{3, 7}}, {{0, 3}, {7, made.Len()}}}, Align: 4096}} {
		l := layout(t, made, o)
		placed := map[string]int{}
		for e := range l.Extents(0) {
			if !e.Meta {
				placed[fmt.Sprint(e.Off, e.Len, e.At)]++
			}
		}
		n := 0
		for node := range made.Nodes() {
			if node.Kind() != tree.File {
				continue
			}
			for _, e := range l.Place(nil, node) {
				n++
				if placed[fmt.Sprint(e.Off, e.Len, e.At)] != 1 {
					t.Errorf("%s: no extent at %d", node.Name, e.Off)
				}
			}
		}
		if n != len(placed) {
			t.Errorf("%d places, %d extents", n, len(placed))
		}
	}
}

// Each part is an archive of its own: the first name in it of a file has the content, whatever other parts have.
func TestParts(t *testing.T) {
	made := some(t)
	z := made.Find("/b/z").ID()
	l := layout(t, made, pax.Options{Parts: [][]pax.Span{{{z, z + 2}}, {{0, z}, {z + 2, made.Len()}}}, Align: 1 << 16})
	all := archive(t, l)
	var counts []int
	for _, p := range l.Parts() {
		if p.Off%(1<<16) != 0 {
			t.Errorf("a part begins at %d", p.Off)
		}
		lines := listed(t, all[p.Off:p.Off+p.Size])
		counts = append(counts, len(lines))
		if text := strings.Join(lines, "\n"); strings.Count(text, `"shared"`) != 1 {
			t.Errorf("the content of the file is not once in\n%s", text)
		}
	}
	if fmt.Sprint(counts) != fmt.Sprint([]int{2, made.Len() - 2}) {
		t.Errorf("%v entries", counts)
	}
	// A part does not depend on the others.
	alone := layout(t, made, pax.Options{Parts: [][]pax.Span{{{z, z + 2}}}})
	if p := l.Parts()[0]; !bytes.Equal(archive(t, alone), all[p.Off:p.Off+p.Size]) {
		t.Error("a part alone has other bytes")
	}
}

func TestSocket(t *testing.T) {
	b := tree.NewBuilder(&tree.Attr{Mode: 0o755})
	if err := b.Add("/dev/log", tree.NewSpecial("", &tree.Attr{}, tree.Socket), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := pax.New(built(t, b), pax.Options{}); err == nil || err.Error() != "/dev/log is a socket, which an archive cannot hold" {
		t.Errorf("got %v", err)
	}
}

// GNU tar lists attributes, access control lists and sizes.
func TestGNUTarLists(t *testing.T) {
	hosttest.Need(t, "tar")
	file := filepath.Join(t.TempDir(), "x.tar")
	write(t, file, some(t))
	text := hosttest.Run(t, "tar", "--xattrs", "--acls", "--numeric-owner", "--full-time", "--quoting-style=c", "-tvvf", file)
	list := strings.Join(strings.Fields(text), " ")
	for _, want := range []string{
		`-rw-rw----+ 7/0 6 2242-03-16 12:56:32 "./b/a" a: user::rw-,user:1:rwx,group::r--,mask::rw-,other::--- x: 4 user.a=b% x: 0 user.empty`,
		`"./b/z" link to "./b/a"`, "-rws--s--x 3145728/5", `-rwxr-xr-x 0/0 1048579 1970-01-01 00:00:00 "./hole"`, "0/0 4095,1048575",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func write(t *testing.T, file string, made *tree.Tree) {
	t.Helper()
	if err := os.WriteFile(file, archive(t, layout(t, made, pax.Options{Sparse: true})), 0o666); err != nil {
		t.Fatal(err)
	}
}

// What GNU tar extracts, it packs again into an archive with the same entries, and holes are holes.
func TestGNUTarExtracts(t *testing.T) {
	hosttest.Need(t, "tar")
	hosttest.NeedRoot(t)
	dir := t.TempDir()
	file, again, to := filepath.Join(dir, "x.tar"), filepath.Join(dir, "y.tar"), filepath.Join(dir, "to")
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	made := some(t)
	write(t, file, made)
	all := []string{"--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "-C", to}
	hosttest.Run(t, "tar", append(all, "-xpf", file)...)
	hosttest.Run(t, "tar", append(all, "--compare", "-f", file)...)
	hosttest.Run(t, "tar", append(all, "--sort=name", "--format=pax", "-cf", again, ".")...)
	b, err := os.ReadFile(again)
	if err != nil {
		t.Fatal(err)
	}
	want := listed(t, archive(t, layout(t, made, pax.Options{})))
	if d := cmp.Diff(sorted(want), sorted(listed(t, b))); d != "" {
		t.Error(d)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(to, "hole"), &st); err != nil || st.Blocks > 128 {
		t.Errorf("the hole takes %d blocks, %v", st.Blocks, err)
	}
}

// sorted returns sorted entries, without the second name of a device, which GNU tar makes another device.
func sorted(list []string) []string {
	slices.Sort(list)
	return slices.DeleteFunc(list, func(line string) bool { return strings.Contains(line, "null2") })
}

// What archive/tar reads is what was stored.
func FuzzArchive(f *testing.F) {
	f.Add("name", "target", "user.x", "value", int64(5), uint32(6), uint32(0), "content", uint16(0o644), int64(0))
	f.Add(strings.Repeat("n", 255), strings.Repeat("t", 101), "a=%b", "", int64(-1), uint32(1<<31), uint32(999), "", uint16(0o7777), int64(1<<21))
	f.Add("\xff", "\xfe", "\n", "1 a=b\n", int64(1)<<33, uint32(0), uint32(0), "x", uint16(0), int64(1<<16))
	hosttest.Fuzz(f, func(t *testing.T, name, target, xattr, value string, sec int64, uid, nsec uint32, text string, mode uint16, hole int64) {
		a := &tree.Attr{Mode: mode, UID: uid, Mtime: tree.Time{Sec: sec >> 24, Nsec: nsec % 1e9}, Xattrs: []tree.Xattr{{Name: xattr, Value: []byte(value)}}}
		if tree.CheckName(name) != nil || a.Check() != nil || strings.ContainsRune(target+xattr, 0) || target == "" || xattr == "" || value == "" {
			return
		}
		hole &= 1<<21 - 1
		blob := tree.Sparse(tree.Text(strings.Repeat("\x00", int(hole))+text), []tree.Range{{Off: hole, Len: int64(len(text))}})
		root := tree.NewBuilder(&tree.Attr{})
		if root.Add("/d/"+name, tree.NewFile("", a, blob), "") != nil || root.Add("/l", tree.NewSymlink("", a, target), "") != nil {
			return
		}
		made, err := root.Tree()
		if err != nil {
			return
		}
		r := tar.NewReader(bytes.NewReader(archive(t, layout(t, made, pax.Options{Sparse: true}))))
		for range 2 {
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
		}
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || h.Name != "./d/"+name || int64(len(content)) != blob.Size() || string(content[hole:]) != text {
			t.Errorf("%q has %d bytes, %v", h.Name, len(content), err)
		}
		key := "SCHILY.xattr." + strings.NewReplacer("%", "%25", "=", "%3D").Replace(xattr)
		if h.ModTime.Unix() != a.Mtime.Sec || h.ModTime.Nanosecond() != int(a.Mtime.Nsec) || uint32(h.Uid) != uid || uint16(h.Mode) != mode || h.PAXRecords[key] != value {
			t.Errorf("%+v of %+v", h, a)
		}
		if h, err = r.Next(); err != nil || h.Linkname != target {
			t.Errorf("%+v, %v", h, err)
		}
	})
}
