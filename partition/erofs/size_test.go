package erofs

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/hosttree"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

func TestSize(t *testing.T) {
	tr := build(t, map[string]*tree.Node{"/a": file(10_000), "/b": file(100)})
	need := layOut(t, tr, testOptions()).Size()
	for _, c := range []struct {
		size, min, want int64
	}{
		{0, 0, need}, {0, need, need}, {0, need + 1, need + blockSize}, {0, 1 << 40, 1 << 40}, {need, 0, need}, {need + 5000, 0, need + blockSize},
		{need, 1 << 40, need},
	} {
		o := testOptions()
		o.Size, o.MinSize = c.size, c.min
		p := layOut(t, tr, o)
		if p.Size() != c.want {
			t.Errorf("size %d, at least %d: %d bytes, not %d", c.size, c.min, p.Size(), c.want)
		}
		if v := readBackSame(t, tr, p); v.Size != need {
			t.Errorf("%d bytes in use, not %d", v.Size, need)
		}
	}
	for _, given := range []int64{1, 4096, need - 1} {
		o := testOptions()
		o.Size = given
		var small *TooSmallError
		if _, err := New(tr, o); !errors.As(err, &small) || small.Needed != need || small.Given != given {
			t.Errorf("%d bytes: %v", given, err)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for want, o := range map[string]Options{
		"size -1":                {Size: -1},
		"smallest size -1":       {MinSize: -1},
		"has 16 bytes, 15":       {Label: "sixteen bytes is"},
		"none of them NUL":       {Label: "a\x00b"},
		"epoch -1 is before":     {Epoch: -1},
		"not within 0 and 72057": {Size: math.MaxInt64},
	} {
		if _, err := New(build(t, nil), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, not %q", o, err, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	many := make([]string, 0, 1000)
	for i := range 5 {
		many = append(many, fmt.Sprint("user.", i), strings.Repeat("v", 60_000))
	}
	for want, n := range map[string]*tree.Node{
		"owner 4294967295:0":             tree.NewFile("", &tree.Attr{UID: math.MaxUint32}, tree.Text("")),
		"mode 010000 is above 07777":     tree.NewFile("", &tree.Attr{Mode: 0o10000}, tree.Text("")),
		"has 1000000000 nanoseconds":     tree.NewFile("", at(1, 1e9), tree.Text("")),
		"has no attributes":              tree.NewFile("", nil, tree.Text("")),
		"is a file without content":      tree.NewFile("", plain, nil),
		"symlink target of 0 bytes":      tree.NewSymlink("", plain, ""),
		"symlink target of 4096 bytes":   tree.NewSymlink("", plain, strings.Repeat("t", 4096)),
		"holds a NUL":                    tree.NewSymlink("", plain, "a\x00b"),
		"device number 4096:0":           tree.NewDevice("", plain, tree.CharDevice, tree.Device{Major: 4096}),
		"device number 1:1048576":        tree.NewDevice("", plain, tree.BlockDevice, tree.Device{Major: 1, Minor: 1 << 20}),
		"has no number for":              tree.NewFile("", withXattrs("system.other", "x"), tree.Text("")),
		"value of 65536 bytes":           tree.NewFile("", withXattrs("user.x", strings.Repeat("v", 65536)), tree.Text("")),
		"name of 256":                    tree.NewFile("", withXattrs("user."+strings.Repeat("n", 256), "v"), tree.Text("")),
		"is there twice":                 tree.NewFile("", withXattrs("user.x", "1", "user.x", "2"), tree.Text("")),
		"attributes of 300052 bytes":     tree.NewFile("", withXattrs(many...), tree.Text("")),
		"out of order or not within":     tree.NewFile("", plain, tree.Sparse(tree.Text("x"), []tree.Range{{Off: 0, Len: 2}})),
		"4294967296 blocks of contents":  tree.NewFile("", plain, zeros(1<<44)),
		"4294967297 blocks of contents ": tree.NewFile("", plain, zeros(1<<44+4000)),
	} {
		tr := build(t, map[string]*tree.Node{"/some/path": n})
		_, err := New(tr, testOptions())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "/some/path: ") {
			t.Errorf("New says %v, not %q", err, want)
		}
		if err := Check(tr); !strings.Contains(want, "blocks") && (err == nil || !strings.HasPrefix(err.Error(), "/some/path: ")) {
			t.Errorf("Check says %v, not %q", err, want)
		}
	}
	if err := Check(everything(t)); err != nil {
		t.Error(err)
	}
}

// The largest file system has contents up to the last block that a number can name.
func TestLargest(t *testing.T) {
	size := int64(math.MaxUint32-2) * blockSize
	tr := build(t, map[string]*tree.Node{"/a": tree.NewFile("", plain, zeros(size-8192)), "/b": file(4096), "/c": tree.NewFile("", plain, zeros(1))})
	p := layOut(t, tr, testOptions())
	if got := p.Summary().Blocks; got != math.MaxUint32-1 {
		t.Errorf("%d blocks", got)
	}
	readBackSame(t, tr, p)
	tr = build(t, map[string]*tree.Node{"/a": tree.NewFile("", plain, zeros(size+4096)), "/b": file(4096)})
	if _, err := New(tr, testOptions()); err == nil || !strings.Contains(err.Error(), "4294967296 blocks are needed") {
		t.Errorf("got %v", err)
	}
}

// An inode without attributes is never the last thing in an image, where fsck.erofs finds no attributes to read.
func TestEndsAfterInode(t *testing.T) {
	moved := 0
	for files := range 140 {
		nodes := map[string]*tree.Node{}
		for i := range files {
			nodes[fmt.Sprintf("/%03d", i)] = tree.NewSpecial("", plain, tree.Fifo)
		}
		tr := build(t, nodes)
		p := layOut(t, tr, testOptions())
		if p.nids[p.order[files]]%slotsPerBlock == 0 {
			moved++
		}
		readBackSame(t, tr, p)
		checked(t, p)
	}
	if moved == 0 {
		t.Error("no inode was at the end of a block")
	}
}

// Of files with the same blob one brings the whole blocks; each has its own tail.
func TestSameBlob(t *testing.T) {
	same := tree.Text(strings.Repeat("same", 2500))
	one := layOut(t, build(t, map[string]*tree.Node{"/0": tree.NewFile("", plain, same)}), testOptions())
	nodes := map[string]*tree.Node{}
	for i := range 3 {
		nodes[fmt.Sprint("/", i)] = tree.NewFile("", plain, same)
	}
	tr := build(t, nodes)
	three := layOut(t, tr, testOptions())
	if a, b := one.Summary().FileBlocks, three.Summary().FileBlocks; a != 2 || b != 2 {
		t.Errorf("%d blocks for one file, %d for three", a, b)
	}
	if a, b := three.Place(nil, nodes["/0"]), three.Place(nil, nodes["/2"]); len(a) != 2 || len(b) != 1 || b[0].At != 8192 {
		t.Errorf("placed at %v and %v", a, b)
	}
	readBackSame(t, tr, three)
	checked(t, three)
}

// Attributes that many inodes have are stored once, those that one inode has stay with it.
func TestSharedXattrs(t *testing.T) {
	nodes := map[string]*tree.Node{}
	for i := range 500 {
		nodes[fmt.Sprint("/f", i)] = tree.NewFile("", withXattrs("security.selinux", "system_u:object_r:bin_t:s0", "user.n", fmt.Sprintf("%016d", i)), tree.Text(""))
	}
	tr := build(t, nodes)
	p := layOut(t, tr, testOptions())
	if len(p.xattrs.area) != 1 || p.xattrs.bytes != 40 {
		t.Errorf("%d shared attributes of %d bytes", len(p.xattrs.area), p.xattrs.bytes)
	}
	readBackSame(t, tr, p)
	checked(t, p)
}

// Beside mkfs.erofs: a tree that every machine with Go has takes no more than 1 % more than with the tool's own layout.
func TestSizeBesideMkfs(t *testing.T) {
	hosttest.Need(t, "mkfs.erofs", "go")
	dir := filepath.Join(strings.TrimSpace(hosttest.Run(t, "go", "env", "GOROOT")), "src")
	s := hosttree.Scanner{Attr: func(h hosttree.Host) *tree.Attr { return &tree.Attr{Mode: h.Mode, Mtime: plain.Mtime} }}
	root, err := s.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	tr := build(t, map[string]*tree.Node{"/": root})
	p := layOut(t, tr, Options{UUID: repro.SeedOf("x").UUID("x"), Epoch: epoch})
	theirs := filepath.Join(t.TempDir(), "mkfs")
	hosttest.Run(t, "mkfs.erofs", "--quiet", fmt.Sprint("-T", epoch), "--all-root", theirs, dir)
	st, err := os.Stat(theirs)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d nodes: %d bytes, mkfs.erofs %d", tr.Len(), p.Size(), st.Size())
	if p.Size() > st.Size()*101/100 {
		t.Errorf("%d bytes, mkfs.erofs needs %d", p.Size(), st.Size())
	}
}

func BenchmarkNew(b *testing.B) {
	partitiontest.BenchmarkPlan(b, func(t *tree.Tree) (*Plan, error) { return New(t, testOptions()) })
}

func BenchmarkMetadata(b *testing.B) {
	partitiontest.BenchmarkMetadata(b, layOut(b, partitiontest.StoreTree(b, 50_000), testOptions()))
}

func BenchmarkRead(b *testing.B) {
	p := layOut(b, partitiontest.StoreTree(b, 50_000), testOptions())
	image := make([]byte, p.filesAt()*blockSize)
	p.read(image, 0)
	for b.Loop() {
		if _, err := Read(padded(image), p.Size()); err != nil {
			b.Fatal(err)
		}
	}
}
