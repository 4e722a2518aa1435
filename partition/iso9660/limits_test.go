package iso9660

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"imprint/internal/tree"
	"imprint/partition/partitiontest"

	"github.com/google/go-cmp/cmp"
)

// vastBlob is zeros except for marks, at any size.
type vastBlob struct {
	size  int64
	marks *[]int64
}

func (b vastBlob) Size() int64                { return b.size }
func (b vastBlob) Open() (tree.Reader, error) { return b, nil }
func (b vastBlob) Close() error               { return nil }

func (b vastBlob) ReadAt(p []byte, off int64) (int, error) {
	n := int(max(0, min(int64(len(p)), b.size-off)))
	clear(p[:n])
	for _, m := range *b.marks {
		overlay(p[:n], off, fmt.Appendf(nil, "%016x", m), m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// A file of more than 4 GiB has several sections, and records for them that may be in several blocks.
func TestSections(t *testing.T) {
	marks := []int64{0, maxSection - 8, maxSection + 8, 2*maxSection - 16, 2 * maxSection, 3*maxSection - 1}
	large := func(size int64) *tree.Node {
		return tree.NewFile("", plain, vastBlob{size, &marks})
	}
	nodes := map[string]*tree.Node{
		"/exact": large(maxSection), "/one more": large(maxSection + 1), "/two": large(2 * maxSection), "/three": large(3*maxSection + 100),
		"/after": tree.NewFile("", plain, tree.Text("after")),
	}
	many := large(40 * maxSection)
	for i := range 30 { // whose records are in several blocks, each with a continuation area
		nodes[fmt.Sprintf("/many/%d%s", i, strings.Repeat("n", 200))] = tree.NewLink("", many)
	}
	nodes["/many/it"] = many
	tr := build(t, nodes)
	p := plan(t, tr, testOptions())
	v := same(t, p, tr)
	for path, sections := range map[string]int{"/exact": 1, "/one more": 2, "/two": 2, "/three": 4, "/many/it": 40} {
		n := v.Tree.Find(path).Inode()
		if got := len(n.Blob().(*fileBlob).Parts()); got != sections {
			t.Errorf("%s has %d sections, not %d", path, got, sections)
		}
		r, _ := n.Blob().Open()
		for _, m := range marks {
			b := make([]byte, 16)
			if m+16 > n.Size() {
				continue
			}
			if _, err := r.ReadAt(b, m); err != nil || string(b) != fmt.Sprintf("%016x", m) {
				t.Errorf("%s: %q at %d, %v", path, b, m, err)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	size := func(n int64) tree.Blob { return vastBlob{n, &[]int64{}} }
	attr := func(a tree.Attr) *tree.Node { return tree.NewFile("", &a, tree.Text("")) }
	for want, n := range map[string]*tree.Node{
		"/d/x: link target of 4096 bytes, Linux reads 4095 from an ISO": tree.NewSymlink("", plain, strings.Repeat("t", 4096)),
		"/d/x: empty link target":                                          tree.NewSymlink("", plain, ""),
		`/d/x: link target "a\x00b" holds a NUL`:                           tree.NewSymlink("", plain, "a\x00b"),
		"/d/x: time 5869584000, an ISO holds -2208988800 to 5869583999":    attr(tree.Attr{Mtime: tree.Time{Sec: maxTime + 1}}),
		"/d/x: time -2208988801, an ISO holds -2208988800 to 5869583999":   attr(tree.Attr{Mtime: tree.Time{Sec: minTime - 1}}),
		"/d/x: owner 4294967295:0, but 4294967295 is not an ID":            attr(tree.Attr{UID: 1<<32 - 1}),
		`/d/x: extended attribute "user.a" cannot be in an ISO`:            attr(tree.Attr{Xattrs: []tree.Xattr{{Name: "user.a"}}}),
		"/d/x: device number 4096:0, an ISO holds 4095:1048575":            tree.NewDevice("", plain, tree.CharDevice, tree.Device{Major: 4096}),
		"/d/x: device number 1:1048576, an ISO holds 4095:1048575":         tree.NewDevice("", plain, tree.BlockDevice, tree.Device{Major: 1, Minor: 1 << 20}),
		"/d/x: device number 0:256, an ISO holds 0:255":                    tree.NewDevice("", plain, tree.BlockDevice, tree.Device{Minor: 256}),
		"/d/x: file of 429496524801 bytes, Linux reads 429496524800 from":  tree.NewFile("", plain, size(MaxFile+1)),
		"/d/x/" + strings.Repeat("n", 254) + ": name of 254 bytes, an ISO": tree.NewDir("", plain, []*tree.Node{tree.NewFile(strings.Repeat("n", 254), plain, tree.Text(""))}),
		`"/d/x/\x80": name "\x80", of one byte, is one that Linux`:         tree.NewDir("", plain, []*tree.Node{tree.NewFile("\x80", plain, tree.Text(""))}),
		`"/d/x/\x01": name "\x01", of one byte, is one that Linux`:         tree.NewDir("", plain, []*tree.Node{tree.NewFile("\x01", plain, tree.Text(""))}),
		"directories nest deeper than 2048":                                nested(2050),
		"blocks, an ISO holds fewer than 4294967296":                       tree.NewDir("", plain, vasts(30, MaxFile)),
		"blocks are needed, an ISO has fewer than 4294967296":              tree.NewDir("", plain, vasts(25, (maxBlocks-1)/25*block)),
	} {
		tr := build(t, map[string]*tree.Node{"/d/x": n})
		_, err := New(tr, testOptions())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "lay out ISO 9660: ") {
			t.Errorf("got %.200v; want %q", err, want)
		}
		if checked := Check(tr); checked != nil && err.Error() != "lay out ISO 9660: "+checked.Error() {
			t.Errorf("Check says %v, New %v", checked, err)
		}
	}
}

func nested(depth int) *tree.Node {
	n := tree.NewFile("f", plain, tree.Text(""))
	for range depth {
		n = tree.NewDir("d", plain, []*tree.Node{n})
	}
	return n
}

func vasts(count int, size int64) (nodes []*tree.Node) {
	for i := range count {
		nodes = append(nodes, tree.NewFile(fmt.Sprint(i), plain, vastBlob{size, &[]int64{}}))
	}
	return nodes
}

func TestOptionsRefused(t *testing.T) {
	tr := build(t, nil)
	for want, o := range map[string]Options{
		"volume ID": {VolumeID: strings.Repeat("V", 33)}, "partition offset of 15": {PartitionOffset: 15}, "partition offset of 4294967296": {PartitionOffset: 1 << 32},
		"ESP of -1": {ESP: -1}, "ESP of 8796093022208": {ESP: 1 << 43}, "alignment of 512": {Align: 512}, "alignment of -2048": {Align: -2048},
		"date 253402300800": {Created: maxDate + 1}, "date -62135596801": {Modified: minDate - 1},
		"blocks are needed": {ESP: (1<<32 - 1) * block}, "4294967302 blocks are needed": {PartitionOffset: 1<<32 - 20},
	} {
		if _, err := New(tr, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %q", o, err, want)
		}
	}
}

// The deepest tree there can be, which is 10 MB of paths.
func TestDeep(t *testing.T) {
	tr := build(t, map[string]*tree.Node{"/d": nested(maxDepth - 1)})
	p := plan(t, tr, testOptions())
	v, err := Read(partitiontest.Image(p), p.Size())
	if err != nil || v.Tree.Len() != tr.Len() {
		t.Fatalf("%+v, %v", v, err)
	}
}

// Identifiers differ, are in order, and are the same every time.
func TestIdentifiers(t *testing.T) {
	nodes := map[string]*tree.Node{}
	names := []string{
		"a", "A", "a.", "a.b", "A.B", "a_1.b", "a-b", "a b", "a_b", ".a", "..a", "a.b.c", "a.tar.gz", "a.longextension", "a.eightlet", "a_2.b",
		strings.Repeat("n", 30), strings.Repeat("n", 31), strings.Repeat("N", 32), strings.Repeat("n", 31) + ".txt", strings.Repeat("n", 32) + ".txt", "a.1", "a1", "a10", "a2",
	}
	for i, name := range names {
		nodes["/d/"+name] = tree.NewFile("", plain, tree.Text(""))
		if i%2 == 1 {
			nodes["/d/"+name] = tree.NewDir("", plain, nil)
		}
	}
	for i := range 300 {
		nodes["/d/"+fmt.Sprintf("%0250d%d", 0, i)] = tree.NewFile("", plain, tree.Text(""))
	}
	tr := build(t, nodes)
	p := plan(t, tr, Options{})
	var ids []string
	rd := &reader{image: partitiontest.Image(p), size: p.Size(), seen: map[int64]bool{}}
	d := p.dir(int32(tr.Find("/d").ID()))
	if err := rd.records(record{start: p.pieces[len(p.pieces)-1].start + int64(d.at), size: d.size()}, func(r record) error {
		ids = append(ids, string(r.id))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	ids = ids[2:]
	for i, id := range ids {
		if i > 0 && !before(ids[i-1], id) {
			t.Errorf("%q comes before %q", ids[i-1], id)
		}
		name, _, isFile := strings.Cut(id, version)
		stem, extension, dotted := strings.Cut(name, ".")
		if len(stem)+len(extension) > 30 || stem == "" || isFile != dotted || strings.Trim(stem+extension, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
			t.Errorf("identifier %q", id)
		}
	}
	if len(ids) != len(nodes) {
		t.Errorf("%d records of %d names", len(ids), len(nodes))
	}
	again := plan(t, build(t, nodes), Options{})
	if diff := cmp.Diff(p.renamed, again.renamed, cmp.AllowUnexported(ident{})); diff != "" {
		t.Error(diff)
	}
	same(t, p, tr)
}

// before is the order of ECMA-119, 9.3, word by word.
func before(a, b string) bool {
	pad := func(id string) string {
		id, _, _ = strings.Cut(id, ";")
		name, extension, _ := strings.Cut(id, ".")
		return fmt.Sprintf("%-31s%-31s", name, extension)
	}
	return pad(a) < pad(b)
}

// A path table with more directories than parent numbers is cut off; the directories are there.
func TestPathTableEnds(t *testing.T) {
	var tops []*tree.Node
	for i := range 300 {
		var kids []*tree.Node
		for k := range 250 {
			kids = append(kids, tree.NewDir(fmt.Sprint(k), plain, []*tree.Node{tree.NewDir("d", plain, nil)}))
		}
		tops = append(tops, tree.NewDir(fmt.Sprint(i), plain, kids))
	}
	tr := build(t, map[string]*tree.Node{"/": tree.NewDir("", plain, tops)})
	p := plan(t, tr, Options{})
	// The root, 300 and 75,000 directories, of which 65,535 - 301 may have one below them that is in the table.
	if want := 1 + 300 + 75_000 + maxParent - 301; len(p.paths.dirs) != want {
		t.Errorf("%d directories in the path table, not %d", len(p.paths.dirs), want)
	}
	v, err := Read(partitiontest.Image(p), p.Size())
	if err != nil || v.Tree.Len() != tr.Len() {
		t.Errorf("%+v, %v", v, err)
	}
}
