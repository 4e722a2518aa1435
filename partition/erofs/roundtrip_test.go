package erofs

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/fault"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// describe lists a tree: a line for each path, with all that a file system keeps.
func describe(t tb, tr *tree.Tree) []string {
	first := map[*tree.Node]string{}
	var lines []string
	for path, n := range tr.Walk() {
		n = n.Inode()
		if first[n] == "" {
			first[n] = path
		}
		a, content := n.Attr, ""
		if n.Kind() == tree.File {
			content = fmt.Sprintf("%x", sha256.Sum256(contentOf(t, n.Blob())))
		}
		xattrs := slices.SortedFunc(slices.Values(a.Xattrs), func(x, y tree.Xattr) int { return strings.Compare(x.Name, y.Name) })
		lines = append(lines, fmt.Sprintf("%q is %q, a %v: %o %d:%d %v %d %q %v %q %s",
			path, first[n], n.Kind(), a.Mode, a.UID, a.GID, a.Mtime, n.Size(), n.Target(), n.Device(), xattrs, content))
	}
	return lines
}

// readBackSame reads a plan, compares what it finds with the tree, and checks that there is no fault.
func readBackSame(t tb, tr *tree.Tree, p *Plan) *Volume {
	t.Helper()
	v, err := Read(partitiontest.Image(p), p.Size())
	if err != nil {
		t.Fatal(err)
	}
	v.Check(func(f fault.Fault) { t.Fatal(f) })
	want, got := describe(t, tr), describe(t, v.Tree)
	if slices.Equal(want, got) {
		return v
	}
	t.Fatalf("-planned +found:\n%.5000s", cmp.Diff(want, got))
	return nil
}

func drawName(t *rapid.T) string {
	switch rapid.IntRange(0, 3).Draw(t, "kind of name") {
	case 0:
		return rapid.StringMatching(`[a-z!.-]{1,3}`).Filter(func(s string) bool { return s != "." && s != ".." }).Draw(t, "name")
	case 1:
		return rapid.StringMatching(`[a-z]{200,255}`).Draw(t, "name")
	default:
		b := rapid.SliceOfN(rapid.ByteRange(1, 255), 1, 40).Draw(t, "name")
		if name := strings.ReplaceAll(string(b), "/", "|"); name != "." && name != ".." {
			return name
		}
		return "dots"
	}
}

func drawAttr(t *rapid.T) *tree.Attr {
	id := rapid.OneOf(rapid.Just(uint32(0)), rapid.Uint32Max(1<<17), rapid.Uint32Max(1<<32-2))
	a := &tree.Attr{
		Mode: rapid.Uint16Range(0, 0o7777).Draw(t, "mode"), UID: id.Draw(t, "uid"), GID: id.Draw(t, "gid"),
		Mtime: rapid.OneOf(rapid.Just(plain.Mtime), rapid.Custom(func(t *rapid.T) tree.Time {
			return tree.Time{Sec: rapid.Int64().Draw(t, "seconds"), Nsec: rapid.Uint32Max(999_999_999).Draw(t, "nanoseconds")}
		})).Draw(t, "time"),
	}
	for _, name := range []string{"security.b", "system.posix_acl_access", "trusted.a", "user.longer-name"} {
		switch rapid.IntRange(0, 9).Draw(t, "attribute") {
		case 0:
			a.Xattrs = append(a.Xattrs, tree.Xattr{Name: name, Value: rapid.SliceOfN(rapid.Byte(), 0, 250).Draw(t, "value")})
		case 1:
			a.Xattrs = append(a.Xattrs, tree.Xattr{Name: name, Value: []byte("the same in many inodes")})
		case 2:
			a.Xattrs = append(a.Xattrs, tree.Xattr{Name: name, Value: bytes.Repeat([]byte{1}, rapid.IntRange(3900, 9000).Draw(t, "large value"))})
		}
	}
	return a
}

// drawNode draws a node, which may be a further name of one of the earlier files.
func drawNode(t *rapid.T, depth int, files *[]*tree.Node) *tree.Node {
	name, attr := drawName(t), drawAttr(t)
	switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); kind {
	case 0, 1:
		if depth < 4 {
			return tree.NewDir(name, attr, drawNodes(t, depth+1, files))
		}
	case 2:
		return tree.NewSymlink(name, attr, rapid.StringMatching(`[a-z/.]{1,120}`).Draw(t, "target"))
	case 3:
		return tree.NewDevice(name, attr, tree.BlockDevice, tree.Device{Major: rapid.Uint32Max(4095).Draw(t, "major"), Minor: rapid.Uint32Max(1<<20-1).Draw(t, "minor")})
	case 4:
		return tree.NewSpecial(name, attr, rapid.SampledFrom([]tree.Kind{tree.Fifo, tree.Socket}).Draw(t, "special"))
	case 5, 6:
		if len(*files) > 0 {
			old := rapid.SampledFrom(*files).Draw(t, "linked")
			if kind == 5 {
				return tree.NewLink(name, old)
			}
			return tree.NewFile(name, attr, old.Blob())
		}
	case 7:
		step := rapid.Int64Range(700, 30_000).Draw(t, "step")
		h := &holey{size: rapid.Int64Range(0, 300_000).Draw(t, "size"), step: step, count: rapid.Int64Range(0, step).Draw(t, "data")}
		return tree.NewFile(name, attr, h)
	}
	f := file(rapid.OneOf(rapid.IntRange(0, 20_000), rapid.IntRange(0, 500)).Draw(t, "size"))
	f = tree.NewFile(name, attr, f.Blob())
	*files = append(*files, f)
	return f
}

func drawNodes(t *rapid.T, depth int, files *[]*tree.Node) (nodes []*tree.Node) {
	seen := map[string]bool{}
	for range rapid.IntRange(0, 12).Draw(t, "nodes") {
		if n := drawNode(t, depth, files); !seen[n.Name] {
			seen[n.Name] = true
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func drawTree(t *rapid.T) *tree.Tree {
	nodes := drawNodes(t, 0, &[]*tree.Node{})
	return build(t, map[string]*tree.Node{"/": tree.NewDir("", drawAttr(t), partitiontest.Rooted(nodes))})
}

// Any tree comes back as it was, and fsck.erofs finds no fault.
func TestRandomTrees(t *testing.T) {
	t.Parallel()
	hosttest.Need(t, "fsck.erofs")
	path := filepath.Join(t.TempDir(), "image")
	n := 0
	hosttest.Check(t, func(t *rapid.T) {
		tr := drawTree(t)
		p := layOut(t, tr, testOptions())
		readBackSame(t, tr, p)
		checkExtents(t, p, rapid.Int64Range(0, p.Size()).Draw(t, "from"))
		if n++; n%4 == 0 {
			saveTo(t, p, path)
			fsck(t, path)
		}
	})
}

// checkExtents compares the extents from an offset with those of all that end after it, and with where contents are placed.
func checkExtents(t tb, p *Plan, from int64) {
	t.Helper()
	all := slices.Collect(p.Extents(0))
	rest := slices.DeleteFunc(slices.Clone(all), func(e extent.Extent) bool { return e.End() <= from })
	same := func(a, b extent.Extent) bool {
		return a.Off == b.Off && a.Len == b.Len && a.At == b.At && a.Meta == b.Meta && (a.Meta || a.Blob == b.Blob)
	}
	if got := slices.Collect(p.Extents(from)); !slices.EqualFunc(got, rest, same) {
		t.Fatalf("from %d: %d extents, %d end after it", from, len(got), len(rest))
	}
	var placed, contents []extent.Extent
	for n := range p.tree.Nodes() {
		if n.Kind() != tree.Link {
			placed = p.Place(placed, n)
		}
	}
	slices.SortFunc(placed, func(a, b extent.Extent) int { return int(a.Off - b.Off) })
	for _, e := range all {
		if !e.Meta {
			contents = append(contents, e)
		}
	}
	if !slices.EqualFunc(placed, contents, same) {
		t.Fatalf("%d extents of contents, %d are placed", len(contents), len(placed))
	}
}

func TestEverything(t *testing.T) {
	tr := everything(t)
	p := layOut(t, tr, testOptions())
	v := readBackSame(t, tr, p)
	if o := testOptions(); v.Label != o.Label || v.UUID != o.UUID || v.Epoch != epoch || v.Size != p.Size() || v.Inodes != p.Summary().Inodes {
		t.Errorf("found %q %v %d, %d bytes, %d inodes", v.Label, v.UUID, v.Epoch, v.Size, v.Inodes)
	}
	for _, from := range []int64{1, 4096, metaChunk, p.tailsAt() * blockSize, p.tailsAt()*blockSize + 5000, p.filesAt() * blockSize, p.Size() - 1} {
		checkExtents(t, p, from)
	}
	checked(t, p)
}

// What fsck.erofs extracts is the tree.
func TestExtracted(t *testing.T) {
	hosttest.Need(t, "fsck.erofs")
	nodes := map[string]*tree.Node{"/link": tree.NewSymlink("", plain, "to/nowhere"), "/empty": tree.NewDir("", plain, nil)}
	for _, n := range []int{0, 1, 3000, 4000, 4096, 5000, 8000, 1_000_000} {
		nodes[fmt.Sprint("/dir/", n)] = file(n)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if out, err := fsckOutput(save(t, layOut(t, build(t, nodes), testOptions())), "--extract="+dir, "--no-preserve-owner"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for path, n := range nodes {
		st, err := os.Lstat(filepath.Join(dir, path))
		if err != nil || st.ModTime().Unix() != epoch {
			t.Fatal(path, st, err)
		}
		switch n.Kind() {
		case tree.Symlink:
			if target, err := os.Readlink(filepath.Join(dir, path)); target != n.Target() {
				t.Error(path, target, err)
			}
		case tree.File:
			if got, err := os.ReadFile(filepath.Join(dir, path)); !bytes.Equal(got, contentOf(t, n.Blob())[:n.Size()]) {
				t.Errorf("%s: %d bytes, %v", path, len(got), err)
			}
		}
	}
}

// The order in which a tree was put together does not matter, and neither do the pieces in which the image is read.
func TestSameImage(t *testing.T) {
	sum := func() []byte {
		nodes := map[string]*tree.Node{}
		for i := range 3000 {
			nodes[fmt.Sprintf("/%d/%d", i%7, i)] = file(i)
		}
		path := save(t, layOut(t, build(t, nodes), testOptions()))
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	first := sum()
	if !bytes.Equal(first, sum()) {
		t.Error("two images differ")
	}
	nodes := everything(t)
	p := layOut(t, nodes, testOptions())
	whole := make([]byte, p.filesAt()*blockSize)
	p.read(whole, 0)
	for at := 0; at < len(whole); at += 997 {
		part := bytes.Repeat([]byte{0xee}, min(997, len(whole)-at))
		if p.read(part, int64(at)); !bytes.Equal(part, whole[at:at+len(part)]) {
			t.Fatalf("bytes at %d differ from those of the whole", at)
		}
	}
}

var dumpedExtent = regexp.MustCompile(`(\d+)\.\. *\d+ \| +\d+ : +(\d+)\.\.`)

// dump.erofs finds contents where Place says they are.
func TestDumped(t *testing.T) {
	hosttest.Need(t, "dump.erofs")
	tr := everything(t)
	p := layOut(t, tr, testOptions())
	image := save(t, p)
	for _, path := range []string{"/file/1", "/file/3072", "/file/3073", "/file/7168", "/file/7169", "/file/8192", "/large", "/dir/z-link", "/same/0"} {
		var want, got []string
		for _, e := range p.Place(nil, tr.Find(path)) {
			want = append(want, fmt.Sprint(e.At, e.Off))
		}
		for _, m := range dumpedExtent.FindAllStringSubmatch(hosttest.Run(t, "dump.erofs", "-e", "--path="+path, image), -1) {
			got = append(got, strings.Join(m[1:], " "))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -placed +dumped:\n%s", path, diff)
		}
	}
}
