package iso9660

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"

	"github.com/google/go-cmp/cmp"
)

var plain = &tree.Attr{Mode: 0o755, Mtime: tree.Time{Sec: 1}}

func testOptions() Options {
	return Options{VolumeID: "TEST", Created: 1_000_000_000, Modified: 1_234_567_890, PartitionOffset: 16}
}

type tb = partitiontest.TB

// build returns a tree of nodes, by their paths.
func build(t tb, nodes map[string]*tree.Node) *tree.Tree {
	t.Helper()
	return partitiontest.Build(t, plain, nodes)
}

func plan(t tb, tr *tree.Tree, o Options) *Plan {
	t.Helper()
	p, err := New(tr, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// write writes a plan into a new sparse file and returns its path.
func write(t testing.TB, p *Plan) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.iso")
	writeTo(t, p, path)
	return path
}

func writeTo(t tb, p *Plan, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(p.Size()); err != nil {
		t.Fatal(err)
	}
	end := int64(systemArea * block)
	for e := range p.Extents(0) {
		if e.Off < end || e.Len <= 0 || e.End() > p.Size() {
			t.Fatalf("extent of %d bytes at %d after one that ends at %d, image of %d", e.Len, e.Off, end, p.Size())
		}
		end = e.End()
		copyExtent(t, f, e)
	}
}

// copyExtent writes an extent into a file, with pieces of odd sizes so that structures are read in parts too.
func copyExtent(t tb, f *os.File, e extent.Extent) {
	t.Helper()
	r, err := e.Blob.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	buf := bytes.Repeat([]byte{0xee}, int(min(e.Len, 1<<20+1000)))
	for at := int64(0); at < e.Len; at += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), e.Len-at)]
		if n, err := r.ReadAt(b, e.At+at); n < len(b) && !errors.Is(err, io.EOF) {
			t.Fatalf("read %d of %d bytes of an extent at %d: %v", n, len(b), e.Off, err)
		}
		if _, err := f.WriteAt(b, e.Off+at); err != nil {
			t.Fatal(err)
		}
	}
}

// An item is a node of a tree in a form that can be compared.
type item struct {
	Kind     tree.Kind
	First    string // the path that a link leads to
	Mode     uint16
	UID, GID uint32
	Mtime    int64
	Size     int64
	Content  string // hexadecimal
	Target   string
	Device   tree.Device
}

// compared is the number of bytes of a content that are compared.
const compared = 64 << 10

// itemsOf lists a tree by path. Of a file with several names the first one in the order of the image is the file, which need not be so in
// the tree that is laid out; so all of them but the first by path count as links.
func itemsOf(t tb, tr *tree.Tree) map[string]item {
	t.Helper()
	all, first := map[string]item{}, map[*tree.Node]string{}
	for path, named := range tr.Walk() {
		n := named.Inode()
		if f, ok := first[n]; ok {
			all[path] = item{Kind: tree.Link, First: f}
			continue
		}
		first[n] = path
		x := item{Kind: n.Kind(), Mode: n.Attr.Mode, UID: n.Attr.UID, GID: n.Attr.GID, Mtime: n.Attr.Mtime.Sec, Target: n.Target(), Device: n.Device(), Size: n.Size()}
		if n.Kind() == tree.File {
			x.Content = fmt.Sprintf("%x", contentUpTo(t, n, compared))
		}
		all[path] = x
	}
	return all
}

func contentUpTo(t tb, n *tree.Node, limit int64) []byte {
	t.Helper()
	r, err := n.Blob().Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := make([]byte, min(limit, n.Size()))
	if k, err := r.ReadAt(p, 0); k < len(p) {
		t.Fatalf("%s: %d of %d bytes: %v", n.Name, k, len(p), err)
	}
	return p
}

// same compares the trees read from the whole disk and from its partition with the tree that was laid out.
func same(t tb, p *Plan, tr *tree.Tree) *Volume {
	t.Helper()
	want := itemsOf(t, tr)
	var whole *Volume
	for _, offset := range []int64{0, p.options.PartitionOffset * block} {
		size := p.Size() - offset
		v, err := ReadLinks(io.NewSectionReader(partitiontest.Image(p), offset, size), size)
		if err != nil {
			t.Fatalf("at %d: %v", offset, err)
		}
		if diff := cmp.Diff(want, itemsOf(t, v.Tree)); diff != "" {
			t.Fatalf("at %d: -want +got:\n%.4000s", offset, diff)
		}
		if whole == nil {
			whole = v
		} else if v.Blocks != size/block {
			t.Fatalf("the partition's volume has %d blocks, not %d", v.Blocks, size/block)
		}
	}
	return whole
}

// all returns a tree with every kind of name, target, attribute and content that an image can hold, and times from first to last.
func all(t testing.TB, first, last int64) *tree.Tree {
	nodes := map[string]*tree.Node{}
	attr := func(mode uint16, n int64) *tree.Attr {
		return &tree.Attr{Mode: mode, UID: uint32(n), GID: uint32(2 * n), Mtime: tree.Time{Sec: n}}
	}
	for i, name := range []string{
		"new\nline", "\xff\xfe", "Größe", "a b", `back\slash`, `quo"te'`, "*?[a]", "-dash", "--", "UPPER.TXT", "upper.txt", "Upper.Txt", "#", "=",
		"\t\x7f", "trailing.", "semi;1", ".hidden", "a.tar.gz", strings.Repeat("n", 60), strings.Repeat("n", 61), strings.Repeat("x.", 120), "...",
		strings.Repeat("m", 250), strings.Repeat("m", 251), strings.Repeat("m", 253),
	} {
		nodes["/names/"+name] = tree.NewFile("", attr(0o444, 1), tree.Text(strings.Repeat(name, i*30)))
		nodes["/dirs/"+name+"/x"] = tree.NewFile("", attr(0o600, 7), tree.Text(name))
		nodes["/toolong/"+name] = tree.NewSymlink("", attr(0o777, 1), strings.Repeat(name, 1+3000/len(name)))
	}
	for i, target := range targets {
		nodes[fmt.Sprint("/links/", i)] = tree.NewSymlink("", attr(0o777, int64(i)), target)
	}
	for i := range 1500 {
		nodes[fmt.Sprintf("/many/%d", i)] = tree.NewFile("", attr(0o444, 1+int64(i%2)), tree.Text(fmt.Sprint("y", i)))
		nodes[fmt.Sprintf("/many/dir %d", i)] = tree.NewDir("", attr(0o755, 1), nil)
	}
	nodes["/deep"+strings.Repeat("/d", 100)+"/end"] = tree.NewFile("", attr(0o4755, 99), tree.Text("end"))
	nodes["/empty"] = tree.NewFile("", &tree.Attr{Mode: 0o400, UID: 1 << 31, GID: 1<<32 - 2}, tree.Text(""))
	nodes["/emptydir"] = tree.NewDir("", attr(0o1777, 5), nil)
	nodes["/late"] = tree.NewFile("", attr(0o644, last), tree.Text("late"))
	nodes["/early"] = tree.NewFile("", &tree.Attr{Mode: 0o644, Mtime: tree.Time{Sec: first}}, tree.Text("early"))
	nodes["/char"] = tree.NewDevice("", attr(0o620, 5), tree.CharDevice, tree.Device{Major: 4, Minor: 64})
	nodes["/null"] = tree.NewDevice("", attr(0o620, 5), tree.CharDevice, tree.Device{Minor: 255})
	nodes["/block"] = tree.NewDevice("", attr(0o660, 6), tree.BlockDevice, tree.Device{Major: 4095, Minor: 255})
	nodes["/fifo"] = tree.NewSpecial("", attr(0o600, 0), tree.Fifo)
	nodes["/socket"] = tree.NewSpecial("", attr(0o600, 0), tree.Socket)
	text := tree.Text(strings.Repeat("sparse", 5000))
	nodes["/sparse"] = tree.NewFile("", attr(0o600, 3), &holes{text, []tree.Range{{Off: 6000, Len: 6}, {Off: 20_000, Len: 1000}}})
	for i, n := range []*tree.Node{
		tree.NewFile("", attr(0o444, 3), tree.Text("several names")), tree.NewFile("", attr(0o444, 3), tree.Text("")),
		tree.NewSymlink("", attr(0o777, 9), "several"), tree.NewSpecial("", attr(0o600, 1), tree.Fifo),
	} {
		nodes[fmt.Sprint("/several/", i)] = n
		nodes[fmt.Sprint("/names/also ", i)], nodes[fmt.Sprint("/z", i)] = tree.NewLink("", n), tree.NewLink("", n)
	}
	return build(t, nodes)
}

// targets of symbolic links.
var targets = []string{
	"a", "/", "//", "///", "/a/b", "../..", ".", "..", "./a", "a//b", "//a", "///a//", "a/", "a/b/", "../", "./", "/.", "/..", "...", "new\nline", "\xff",
	strings.Repeat("t", 253), strings.Repeat("t", 249) + "/u", strings.Repeat("t", 248), strings.Repeat("t", 4095),
	strings.Repeat("/", 4095), strings.Repeat("x/", 2047) + "y", strings.Repeat("../", 1365), strings.Repeat("ab/", 82), strings.Repeat("ab/", 83),
}

// holes is a blob with holes between its data.
type holes struct {
	tree.Blob
	data []tree.Range
}

func (h *holes) Data() []tree.Range { return h.data }

func (h *holes) Open() (tree.Reader, error) { return holesReader{h}, nil }

type holesReader struct{ *holes }

func (h holesReader) ReadAt(p []byte, off int64) (int, error) {
	r, _ := h.Blob.Open()
	n, err := r.ReadAt(p, off)
	for i := range p[:n] {
		at := off + int64(i)
		if !slices.ContainsFunc(h.data, func(r tree.Range) bool { return r.Off <= at && at < r.Off+r.Len }) {
			p[i] = 0
		}
	}
	return n, err
}

func (holesReader) Close() error { return nil }

// A tree that is laid out is read back the same.
func TestRoundTrip(t *testing.T) {
	tr := all(t, minTime, maxTime)
	p := plan(t, tr, testOptions())
	v := same(t, p, tr)
	if v.ID != "TEST" || v.UUID() != UUID(1_234_567_890) || v.Created != Date(1_000_000_000) || v.Blocks != p.Size()/block {
		t.Errorf("volume %q, %s, made %s, of %d blocks", v.ID, v.UUID(), v.Created, v.Blocks)
	}
	if want := "2009-02-13-23-31-30-00"; UUID(1_234_567_890) != want {
		t.Errorf("UUID %s, want %s", UUID(1_234_567_890), want)
	}
}
