package ext4

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"imprint/internal/fault"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// rich is a file system with structures of every kind: an index with nodes, an extent tree, shared attributes, copies of the superblock.
func rich(t testing.TB, features string) []byte {
	t.Helper()
	tr := everything(t, 1024)
	nodes := map[string]*tree.Node{"/many": tree.NewDir("", plain, manyFiles(6000)), "/tree": fragments(700, 1024)}
	for _, n := range tr.Root().Children() {
		nodes["/"+n.Name] = n
	}
	o := testOptions()
	o.BlockSize, o.Free, o.Features = 1024, 30<<20, strings.Fields(features)
	return bytesOf(t, plan(t, build(t, nodes), o))
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

// harmless is what Explain says of bytes that no checksum, copy or other value depends on.
var harmless = regexp.MustCompile(`unused|^free$|^file |^symlink | tail after |^journal, block|s_sequence$|^reserved group descriptors copy`)

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
	for kind, all := range byKind {
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

// Explain has something to say about every byte, and the fields are at their offsets.
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

// damages are changes with debugfs that e2fsck reports, and what Check says of them.
var damages = []struct{ args, commands, want string }{
	{"", "sif /files/1 links_count 3", "i_links_count is 3, 1 is expected"},
	{"", "sif /deep links_count 9", "i_links_count is 9, 3 is expected"},
	{"", "sif /deep links_count 1", "i_links_count"},
	{"", "sif /files/40000 size 100", "i_size is 100, block 39 was written"},
	{"", "sif /files/40000 blocks 8", "i_blocks is 8 sectors"},
	{"", "sif /files/40000 dtime 5", "i_dtime is 5"},
	{"", "sif /files/40000 mode 0", "mode"},
	{"", "sif /files/40000 faddr 7", "i_obso_faddr"},
	{"", "sif /files/40000 flags 0x81000", "i_flags says index"},
	{"", "sif /files/40000 file_acl 30", "block 30"},
	{"", "sif /fifo size 7", "content of 7 bytes"},
	{"", "sif /link-200 size 100", "symlink target of 200 bytes"},
	{"", "sif /link-59 size 3", "symlink target of 59 bytes"},
	{"", "sif /many size 4096", "directory of 4096 bytes"},
	{"", "sif /deep mode 0100755", "is a directory"},
	{"", "unlink /files/4096", "no name leads to it"},
	{"", "unlink /deep/er", "no name leads to it"},
	{"", "clri /files/4096", "not in use"},
	{"", "freei /files/4096", "in use and marked as free"},
	{"", "seti <600>", ""},
	{"-O ^metadata_csum", "setb 50000 5", "marked as used and nothing uses them"},
	{"", "freeb 1", "in use and marked as free"},
	{"", "link /deep /files/second", "second name"},
	{"", "link /files/1 /files/third", "i_links_count is 1, 2 is expected"},
	{"", "ssv free_blocks_count 5", "s_free_blocks_count is 5"},
	{"", "ssv free_inodes_count 5", "s_free_inodes_count is 5"},
	{"", "ssv jnl_blocks[3] 77", "s_jnl_blocks"},
	{"", "ssv state 2", "state 0x2"},
	{"", "ssv last_orphan 20", "orphan"},
	{"", "ssv hash_seed 01234567-89ab-cdef-0123-456789abcdef", "hash"},
	{"", "set_bg 0 free_blocks_count 3", "bg_free_blocks_count is 3"},
	{"", "set_bg 0 used_dirs_count 3", "bg_used_dirs_count is 3"},
	{"", "set_bg 0 itable_unused 3000", ""},
	{"", "set_bg 0 block_bitmap 99999999", "block bitmap"},
	{"", "set_bg 0 checksum 3", "checksum"},
	{"", "sif /files/40000 block[2] 0x00010001", ""},
	{"-O ^extent,^64bit", "sif /files/40000 block[0] 3", "in use by something else"},
	{"-O ^extent,^64bit", "sif /files/40000 block[0] 99999999", "are not within"},
	{"-O ^extent,^64bit", "sif /files/900000 block[IND] 0", "i_blocks"},
	{"-O ^metadata_csum", "sif /files/40000 links_count 2", "i_links_count is 2"},
	{"-O ^metadata_csum", "sif /files/1 generation 9", "-"},
	{"-b 1024", "sif <7> block[0] 50", "double indirect"},
	{"", "sif <8> size 4096", "journal"},
	{"", "sif <2> mode 0100755", "the root"},
	{"-O inline_data", "sif /files/100 size 5000", "inline content of 5000 bytes"},
}

// Whatever e2fsck calls an error after a change, Check does too.
func TestCheckAgreesWithE2fsck(t *testing.T) {
	hosttest.Need(t, "mke2fs", "e2fsck", "debugfs")
	t.Parallel()
	dir := sourceDir(t)
	originals := map[string]string{}
	for i, c := range damages {
		t.Run(fmt.Sprint(i, c.args, c.commands), func(t *testing.T) {
			if originals[c.args] == "" {
				originals[c.args] = filepath.Join(dir, "..", fmt.Sprint("image", len(originals)))
				tool(t, "mke2fs", append(strings.Fields("-t ext4 "+c.args), "-q", "-F", "-d", dir, originals[c.args], "60M")...)
				runFsck(originals[c.args], "-fyD")
			}
			image := filepath.Join(t.TempDir(), "image")
			tool(t, "cp", "--sparse=always", originals[c.args], image)
			if out, err := exec.Command("debugfs", "-w", "-R", c.commands, image).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			out, code := runFsck(image, "-fn")
			f, err := os.Open(image)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			st, _ := f.Stat()
			var found []string
			if v, err := Open(f, st.Size()); err != nil {
				found = []string{err.Error()}
			} else {
				found = faults(v)
			}
			if code != 0 && found == nil {
				t.Errorf("e2fsck says\n%.2000s", out)
			}
			if code == 0 && found != nil && c.want == "-" {
				t.Errorf("e2fsck says nothing, Check %.2000s", strings.Join(found, "\n"))
			}
			if c.want != "-" && !slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, c.want) }) && (c.want != "" || code != 0) {
				t.Errorf("Check does not say %q but\n%.2000s\ne2fsck says (%d)\n%.2000s", c.want, strings.Join(found, "\n"), code, out)
			}
		})
	}
}

// Of single bits that are changed in structures, Check reports those that e2fsck reports.
func TestFlipsWithE2fsck(t *testing.T) {
	hosttest.Need(t, "mke2fs", "e2fsck")
	t.Parallel()
	dir := sourceDir(t)
	count := 6
	if slow() {
		count = 60
	}
	for _, args := range []string{
		"-t ext4", "-t ext2", "-t ext4 -O ^metadata_csum,uninit_bg", "-t ext4 -O inline_data -b 4096", "-t ext4 -O ^metadata_csum,meta_bg,^resize_inode -b 1024",
		"-t ext4 -O ^metadata_csum,bigalloc -C 16384", "-t ext4 -O ^metadata_csum,orphan_file,quota",
	} {
		t.Run(args, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "image")
			tool(t, "mke2fs", append(strings.Fields(args), "-q", "-F", "-d", dir, path, "24M")...)
			runFsck(path, "-fyD")
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			clean, err := Read(f, 24<<20)
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(3, uint64(len(args))))
			both := [3]int{}
			for _, at := range structureBytes(clean, r, count) {
				both[flipBoth(t, f, clean, at, 1<<r.IntN(8))]++
			}
			t.Logf("%d flips were reported by both, %d by Check alone, %d by none", both[2], both[1], both[0])
		})
	}
}

// structureBytes draws some bytes from each kind of structure; those of superblocks come from all of them.
func structureBytes(v *Volume, r *rand.Rand, count int) (all []int64) {
	byKind := map[claimKind][]claim{}
	for _, m := range v.explain().claims {
		if m.kind != contentClaim || strings.HasPrefix(v.Explain(m.start*v.blockSize), "directory") {
			byKind[m.kind] = append(byKind[m.kind], m)
		}
	}
	for kind := range xattrClaim + 1 {
		claims := byKind[kind]
		for range count * min(1, len(claims)) {
			m := claims[r.IntN(len(claims))]
			size := m.blocks * v.blockSize
			switch kind {
			case inodeTableClaim:
				size = min(size, 800*v.inodeBytes)
			case descClaim:
				size = min(size, 6*v.descBytes)
			}
			all = append(all, m.start*v.blockSize+r.Int64N(size))
		}
	}
	return all
}

// flipBoth changes a byte for a moment and compares what e2fsck and Check find: 2 if both report it, 1 for Check alone, 0 for none.
func flipBoth(t *testing.T, f *os.File, clean *Volume, at int64, bits byte) int {
	t.Helper()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{b[0] ^ bits}, at); err != nil {
		t.Fatal(err)
	}
	out, code := runFsck(f.Name(), "-fn")
	v, err := Open(f, clean.Size)
	reported := err != nil
	if err == nil {
		v.Check(func(fault.Fault) { reported = true })
	}
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	switch {
	case code != 0 && reported:
		return 2
	case code != 0:
		t.Errorf("byte %d (%s), bits 0x%x: e2fsck says\n%.1500s", at, clean.Explain(at), bits, out)
	case reported:
		return 1
	}
	return 0
}
