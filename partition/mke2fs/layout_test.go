package mke2fs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition/partitiontest"
)

// The layout and dumpe2fs agree about an empty file system of any size and number of inodes.
func TestLayoutAgreesWithMke2fs(t *testing.T) {
	hosttest.Need(t, "mke2fs", "dumpe2fs")
	for _, need := range []int64{0, 4096, 40_000, 200_000, 2_000_000} {
		for _, inodes := range []int64{20, 33_000, 600_000} {
			l, err := smallest(need, inodes)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range []layout{l, roomy(l, need, l.blocks+1), roomy(l, need, l.blocks+32768), roomy(l, need, 2*l.blocks+77)} {
				checkLayout(t, l)
			}
		}
	}
}

func checkLayout(t *testing.T, l layout) {
	t.Helper()
	said := dump(t, l)
	want := map[string]int64{"Block count": l.blocks, "Inode count": (&Plan{layout: l}).Inodes(), "Inodes per group": l.inodesPerGroup(), "Blocks per group": l.perGroup,
		"Free blocks": l.blocks - l.overhead() - l.journal, "Total journal blocks": l.journal}
	for name, n := range want {
		m := regexp.MustCompile(`(?m)^` + name + `: +(\d+)$`).FindStringSubmatch(said)
		if m == nil {
			t.Fatalf("dumpe2fs prints no %q", name)
		}
		if got, _ := strconv.ParseInt(m[1], 10, 64); got != n {
			t.Errorf("%+v: %s is %d, want %d", l, name, got, n)
		}
	}
}

// dump makes an empty file system and returns what dumpe2fs prints of its superblock.
func dump(t *testing.T, l layout) string {
	t.Helper()
	p := &Plan{layout: l, size: l.blocks * blockSize, opts: options(partitiontest.Options{Epoch: 1})}
	m := &maker{Plan: p, scratch: &scratch{dir: t.TempDir()}, image: filepath.Join(t.TempDir(), "disk")}
	newFile(t, m.image, p.size)
	if err := errors.Join(m.configure(), m.format(t.Context())); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(m.image)
	return hosttest.Run(t, "dumpe2fs", "-h", m.image)
}

func newFile(t *testing.T, name string, size int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// contentBytes returns a lower bound of the bytes for a tree: blocks of contents, inodes, and one list of names for each directory.
func contentBytes(tr *tree.Tree) int64 {
	bytes := int64(0)
	for n := range tr.Nodes() {
		bytes += units.Align(n.Size(), blockSize) + inodeSize
		names := int64(24)
		for _, c := range n.Children() {
			names += entrySize(c.Name)
		}
		bytes += units.Align(names, blockSize)
	}
	return bytes
}

// The size is at most 5 % and 8 MiB above the content and the overhead of an empty file system without its journal: mke2fs wants twice
// the least journal of 4 MiB to be free.
func TestSizeIsNotWasteful(t *testing.T) {
	trees := map[string]*tree.Tree{}
	for i := range 30 {
		trees[fmt.Sprint("random ", i)] = partitiontest.RandomTree(t, i)
	}
	for _, c := range tightTrees {
		trees[c.name] = c.tree(t)
	}
	for name, tr := range trees {
		p, err := New(tr, options(partitiontest.Options{Epoch: 1}))
		if err != nil {
			t.Fatal(err)
		}
		content := contentBytes(tr)
		if most := content + content/20 + 8*units.MiB + 128*units.KiB; p.Size() > most {
			t.Errorf("%s: %d bytes for a content of %d, at most %d should be needed", name, p.Size(), content, most)
		}
	}
}

// A tree that fits into a size fits into every larger one, which never has less room.
func TestMoreRoomAlwaysFits(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		c := census{inodes: rapid.Int64Range(0, 1<<21).Draw(t, "inodes"), blocks: rapid.Int64Range(0, 1<<24).Draw(t, "blocks")}
		o := Options{Free: rapid.Int64Range(0, 1<<32).Draw(t, "free"), FreeInodes: rapid.Int64Range(0, 1<<20).Draw(t, "free inodes")}
		least, err := fit(c, o)
		if err != nil {
			t.Fatal(err)
		}
		o.Size = (least.blocks-1)*blockSize + rapid.Int64Range(0, blockSize-1).Draw(t, "rest")
		var small *SizeError
		if _, err := fit(c, o); !errors.As(err, &small) || small.Need != least.blocks*blockSize {
			t.Fatalf("one block less: %v", err)
		}
		o.Size = (least.blocks + rapid.Int64Range(0, 1<<22).Draw(t, "spare")) * blockSize
		l, err := fit(c, o)
		if err != nil {
			t.Fatal(err)
		}
		need := c.blocks + units.Blocks(o.Free, blockSize)
		if l.blocks > o.Size/blockSize || l.lacking(need) > 0 || l.inodesPerGroup() > maxGroupInodes || l.inodes < least.inodes || l.journal < least.journal {
			t.Fatalf("%+v is no layout for %+v and %+v; the smallest is %+v", l, c, o, least)
		}
	})
}

// A tightTree takes more than its bytes: each is made in the size that is found for it.
type tightTree struct {
	name string
	fill func(add func(path string, n *tree.Node))
}

var store = &tree.Attr{Mode: 0o444, Mtime: tree.Time{Sec: 1}}

var tightTrees = []tightTree{
	{"many symlinks", func(add func(string, *tree.Node)) {
		for i := range 40_000 {
			add(fmt.Sprintf("/%d/%d", i/200, i), tree.NewSymlink("", store, "target"))
		}
	}},
	{"files of one block", func(add func(string, *tree.Node)) {
		for i := range 4000 {
			add(fmt.Sprintf("/%d/%d", i/200, i), tree.NewFile("", store, tree.Text("x")))
		}
	}},
	{"files of five blocks", func(add func(string, *tree.Node)) {
		for i := range 1000 {
			add(fmt.Sprintf("/%d/%d", i/200, i), tree.NewFile("", store, tree.Text(strings.Repeat("x", 5*blockSize))))
		}
	}},
	{"every other block zero", func(add func(string, *tree.Node)) {
		pair := strings.Repeat("\x00", blockSize) + strings.Repeat("x", blockSize)
		for i, blocks := range []int{3, 5, 9, 400, 5000} {
			add(fmt.Sprint("/", i), tree.NewFile("", store, tree.Text(strings.Repeat(pair, blocks/2)+"end")))
		}
	}},
	{"directories of long names", func(add func(string, *tree.Node)) {
		for i := range 3000 {
			add(fmt.Sprintf("/%d/%s%d", i/300, strings.Repeat("n", 250), i), tree.NewSymlink("", store, "x"))
		}
	}},
}

func (c tightTree) tree(t testing.TB) *tree.Tree {
	b := tree.NewBuilder(store)
	c.fill(func(path string, n *tree.Node) {
		if err := b.Add(path, n, c.name); err != nil {
			t.Fatal(err)
		}
	})
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestTightTreesFit(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
	for _, c := range tightTrees {
		t.Run(c.name, func(t *testing.T) {
			p, err := New(c.tree(t), options(partitiontest.Options{Epoch: 1}))
			if err != nil {
				t.Fatal(err)
			}
			r := partitiontest.Region{File: filepath.Join(t.TempDir(), "disk"), Size: p.Size()}
			newFile(t, r.File, r.Size)
			if err := p.Make(t.Context(), r.File, 0); err != nil {
				t.Fatal(err)
			}
			partitiontest.CheckExt4(t, r)
		})
	}
}
