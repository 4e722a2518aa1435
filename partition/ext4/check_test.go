package ext4

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"imprint/internal/fault"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

// rich returns a file system with structures of every kind: an index with nodes, an extent tree, shared attributes, copies of the superblock.
func rich(t testing.TB, features string) []byte {
	t.Helper()
	tr := everything(t, 1024)
	nodes := map[string]*tree.Node{"/many": tree.NewDir("", plain, manyFiles(6000)), "/tree": fragments(700, 1024)}
	for _, n := range tr.Root().Children() {
		nodes["/"+n.Name] = n
	}
	o := testOptions()
	o.BlockSize, o.Free, o.Features = 1024, 30<<20, strings.Fields(features)
	return partitiontest.Bytes(t, plan(t, build(t, nodes), o))
}

// A flipped image is an image with some bits changed; it is cheaper than a copy.
type flipped struct {
	image []byte
	at    int64
	bits  byte
}

func (f flipped) ReadAt(p []byte, off int64) (int, error) {
	n, err := bytes.NewReader(f.image).ReadAt(p, off)
	if i := f.at - off; i >= 0 && i < int64(n) {
		p[i] ^= f.bits
	}
	return n, err
}

// harmless matches what Explain returns for bytes that no checksum, copy or other value depends on.
// Bytes 84 to 91 of the journal's superblock are s_num_fc_blks and s_head, which only a kernel with fast commits reads.
var harmless = regexp.MustCompile(`unused|^free$|^file |^symlink | tail after |^journal, block|s_sequence$|^journal superblock, byte (8[4-9]|9[01])$|` +
	`^reserved group descriptors copy`)

// Every flip of a bit in a structure is reported, or Explain says that the byte is content or not in use.
func TestFlips(t *testing.T) {
	t.Parallel()
	image := rich(t, "")
	clean, err := Read(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	if found := faults(clean); found != nil {
		t.Fatalf("%.3000s", strings.Join(found, "\n"))
	}
	r := rand.New(rand.NewPCG(1, 2))
	byKind := map[string][]claim{}
	for _, m := range clean.explain().claims {
		kind := fmt.Sprint(m.kind)
		if m.kind == contentClaim {
			if kind = strings.Fields(clean.Explain(m.start * clean.blockSize))[0]; kind == "file" {
				continue
			}
		}
		byKind[kind] = append(byKind[kind], m)
	}
	seen := 0
	for _, kind := range slices.Sorted(maps.Keys(byKind)) { // in one order, so that every run flips the same bits
		all := byKind[kind]
		for range 40 {
			m := all[r.IntN(len(all))]
			at := m.start*clean.blockSize + r.Int64N(m.blocks*clean.blockSize)
			if kind == fmt.Sprint(superClaim) || kind == "journal" {
				at = m.start*clean.blockSize + r.Int64N(clean.blockSize)
			}
			reported := false
			v, err := Open(flipped{image, at, 1 << r.IntN(8)}, int64(len(image)))
			if err == nil {
				v.Check(func(fault.Fault) { reported = true })
			}
			if err != nil || reported {
				seen++
			} else if text := clean.Explain(at); !harmless.MatchString(text) {
				t.Errorf("byte %d was changed unnoticed: %s", at, text)
			}
		}
	}
	if t.Logf("%d of %d flips in %d kinds of structures were reported", seen, 40*len(byKind), len(byKind)); seen < 150 {
		t.Errorf("only %d flips were reported", seen)
	}
}

// Explain returns a text for every byte, and finds fields at their offsets.
func TestExplain(t *testing.T) {
	t.Parallel()
	image := rich(t, "")
	v, err := Read(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for off := int64(0); off < v.Size; off += 101 {
		text := v.Explain(off)
		kinds[strings.TrimRight(strings.Fields(text + " -")[0], ",")]++
		if text == "" || strings.Contains(text, "%!") {
			t.Fatalf("byte %d: %q", off, text)
		}
	}
	t.Log(kinds)
	inodeOf := func(path string) (at int64, number uint32) {
		for number, p := range v.paths() {
			if p == path {
				at, err := v.inodeAt(v.newWindows(), number)
				if err != nil {
					t.Fatal(err)
				}
				return at, number
			}
		}
		t.Fatalf("no %s", path)
		return 0, 0
	}
	some, number := inodeOf("/some")
	content, err := v.fileMap(readInode(t, v, number).Block, true).locate(0)
	if err != nil {
		t.Fatal(err)
	}
	_, treeNumber := inodeOf("/tree")
	node := extentNode{b: func() []byte { n := readInode(t, v, treeNumber); return n.Block[:] }()}
	for off, want := range map[int64]string{
		0: "boot code, unused by the file system", 1024: "superblock, s_inodes_count", 1024 + 0x2c: "superblock, s_mtime", 1024 + 0x3fc: "superblock, s_checksum",
		8193 * 1024: "superblock copy in group 1, s_inodes_count", 2048: "group descriptor 0, bg_block_bitmap_lo", 2048 + 64 + 0x1e: "group descriptor 1, bg_checksum",
		8194*1024 + 70: "group descriptor 1 copy in group 1, bg_inode_bitmap_lo", some: fmt.Sprintf("inode %d (/some), i_mode", number),
		some + 5: fmt.Sprintf("inode %d (/some), i_size_lo", number), some + 0x80: fmt.Sprintf("inode %d (/some), i_extra_isize", number),
		some + 0xa0:               fmt.Sprintf("inode %d (/some), unused space for extended attributes", number),
		content.physical*1024 + 5: "file /some, byte 5", content.physical*1024 + 300_000: "file tail after /some",
		node.child(0) * 1024: fmt.Sprintf("extent tree of inode %d (/tree), header", treeNumber), v.Size - 1: "free", v.Size: "outside of the file system",
	} {
		if got := v.Explain(off); got != want {
			t.Errorf("byte %d is %q, not %q", off, got, want)
		}
	}
}

func readInode(t testing.TB, v *Volume, number uint32) inode {
	t.Helper()
	n, _, err := v.inode(v.newWindows(), number)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Names of fields are as many as the fields.
func TestFieldNames(t *testing.T) {
	for _, c := range []struct {
		structure any
		names     string
		size      int64
		last      string
	}{
		{superblock{}, superNames, superSize, "checksum"}, {groupDescriptor{}, groupNames, 64, "reserved"}, {inode{}, inodeNames, oldInode + extraFields, "i_projid"},
		{journalSuper{}, journalNames, 0x50, "s_max_trans_data"},
	} {
		if got := fieldAt(c.structure, c.names, "", c.size-1); got != c.last {
			t.Errorf("the last field of %T is %q, not %q", c.structure, got, c.last)
		}
		if got := fieldAt(c.structure, c.names, "", c.size); got != "" {
			t.Errorf("%T has %q after its end", c.structure, got)
		}
	}
	if got := fieldAt(superblock{}, superNames, "s_", 0x174); got != "s_log_groups_per_flex" {
		t.Errorf("byte 0x174 of the superblock is %s", got)
	}
	if got := fieldAt(superblock{}, superNames, "s_", 0x280); got != "s_orphan_file_inum" {
		t.Errorf("byte 0x280 of the superblock is %s", got)
	}
}
