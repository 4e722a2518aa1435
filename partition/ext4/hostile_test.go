package ext4

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"imprint/internal/fault"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

// small returns a small image with one structure of most kinds.
func small(t testing.TB, features ...string) []byte {
	t.Helper()
	linked := file(100)
	nodes := map[string]*tree.Node{
		"/a/dir/file": linked, "/link": tree.NewLink("", linked), "/symlink": tree.NewSymlink("", plain, "target"), "/big": file(20_000),
		"/long": tree.NewSymlink("", plain, strings.Repeat("t", 70)), "/b": tree.NewDir("", withXattrs("user.x", strings.Repeat("v", 200)), nil),
		"/c": tree.NewFile("", withXattrs("user.y", "in the inode"), tree.Text("")), "/names": tree.NewDir("", plain, manyFiles(150)), "/tree": fragments(9, 1024),
	}
	o := testOptions()
	o.BlockSize, o.Features = 1024, append(features, "^has_journal", "^resize_inode")
	return partitiontest.Bytes(t, plan(t, build(t, nodes), o))
}

// stored returns an image of testdata, made by mke2fs.
func stored(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mended corrects the checksum of the superblock.
func mended(image []byte) []byte {
	var s superblock
	s.decode(image[superOffset:])
	if s.ROCompat&featureTable[metadataCsum].bit != 0 {
		le.PutUint32(image[superOffset+superSize-4:], uint32(checksumStart.over(image[superOffset:superOffset+superSize-4])))
	}
	return image
}

// Images that mke2fs 1.47 made, with a block map, with inline content and with meta block groups.
func TestReadStored(t *testing.T) {
	for _, name := range []string{"ext2.img.gz", "inline.img.gz", "csum.img.gz"} {
		b := stored(t, name)
		v, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if found := faults(v); found != nil {
			t.Errorf("%s: %s", name, strings.Join(found, "\n"))
		}
		for path, want := range map[string]string{"/file": "hello\n", "/dir/hard": "hello\n", "/dir/inline": "a longer text for an inode of 256 bytes that does not fit into i_block alone\n"} {
			got, err := tree.ReadAll(v.Tree.Find(path).Inode().Blob(), 1000)
			if err != nil || string(got) != want {
				t.Errorf("%s: %s is %q, %v", name, path, got, err)
			}
		}
		if hard := v.Tree.Find("/file"); v.Tree.Find("/dir/hard").Inode() != hard.Inode() || hard.Kind() != tree.Link {
			t.Errorf("%s: /file is a %v, not the second name of /dir/hard", name, hard.Kind())
		}
		if n := v.Tree.Find("/long"); n.Target() != "dir/"+strings.Repeat("x", 80) {
			t.Errorf("%s: /long leads to %q", name, n.Target())
		}
		if x := v.Tree.Find("/file").Inode().Attr.Xattrs; len(x) != 1 || x[0].Name != "user.name" || string(x[0].Value) != "value" {
			t.Errorf("%s: attributes %q", name, x)
		}
		if x := v.Tree.Find("/dir/large").Attr.Xattrs; len(x) != 1 || len(x[0].Value) != 300 {
			t.Errorf("%s: attributes %q", name, x)
		}
		if data := tree.DataOf(v.Tree.Find("/sparse").Blob()); len(data) > 2 || data[len(data)-1].End() != 400_001 {
			t.Errorf("%s: data %v", name, data)
		}
		if n := len(v.Tree.Find("/dir/sub").Children()); n != 60 {
			t.Errorf("%s: %d names of 60", name, n)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	whole := small(t)
	v, err := Read(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	inodeOf := func(path string) int64 {
		for number, p := range v.paths() {
			if p == path {
				at, err := v.inodeAt(v.newWindows(), number)
				if err != nil {
					t.Fatal(err)
				}
				return at
			}
		}
		t.Fatalf("no %s", path)
		return 0
	}
	blockOf := func(path string) int64 {
		n := v.decodeInode(whole[inodeOf(path):][:256])
		run, err := v.fileMap(n.Block, true).locate(0)
		if err != nil {
			t.Fatal(err)
		}
		return run.physical * 1024
	}
	const s = superOffset
	for _, c := range []struct {
		want   string
		damage func(b []byte)
	}{
		{"no superblock: magic number 0x0000, not 0xef53; no copy", func(b []byte) { b[s+56], b[s+57] = 0, 0 }},
		{"feature compression is not supported", func(b []byte) { b[s+0x60] |= 1 }},
		{"feature journal_dev is not supported", func(b []byte) { b[s+0x60] |= 8 }},
		{"feature dirdata is not supported", func(b []byte) { b[s+0x61] |= 0x10 }},
		{"incompatible features 0x80000000 are not known", func(b []byte) { b[s+0x63] |= 0x80 }},
		{"revision 2", func(b []byte) { b[s+0x4c] = 2 }},
		{"blocks of 2^17 bytes", func(b []byte) { b[s+0x18] = 7 }},
		{"inodes of 300 bytes", func(b []byte) { le.PutUint16(b[s+0x58:], 300) }},
		{"group descriptors of 65 bytes", func(b []byte) { b[s+0xfe] = 65 }},
		{"the first group starts at block 2", func(b []byte) { b[s+0x14] = 2 }},
		{"8193 blocks in a group", func(b []byte) { b[s+0x20]++ }},
		{"inodes in a group", func(b []byte) { b[s+0x28]++ }},
		{"inodes, not", func(b []byte) { b[s]++ }},
		{"more than the region's", func(b []byte) { b[s+5] = 16 }},
		{"\"/\": inode table of group 0", func(b []byte) { b[2048+11] = 1 }},
		{"\"/a/dir\": the directory has a second name", func(b []byte) { copy(b[blockOf("/a")+24:], []byte{2, 0, 0, 0}) }},
		{"\"/a\": directory block 0: record at byte 24 of 1024 has length 3", func(b []byte) { le.PutUint16(b[blockOf("/a")+28:], 3) }},
		{"\"/a\": name \"d/r\" holds a slash", func(b []byte) { b[blockOf("/a")+33] = '/' }},
		{"\"/a/dir\": inode 4294967295: is not within", func(b []byte) { le.PutUint32(b[blockOf("/a")+24:], 1<<32-1) }},
		{"\"/a/dir\": inode 7 is reserved", func(b []byte) { le.PutUint32(b[blockOf("/a")+24:], 7) }},
		{"is not in use", func(b []byte) { le.PutUint16(b[inodeOf("/big")+26:], 0) }},
		{"mode 0755 has no known type", func(b []byte) { b[inodeOf("/big")+1] &= 0xf }},
		{"\"/big\": time with", func(b []byte) { b[inodeOf("/big")+0x88+3] = 255 }},
		{"\"/big\": content of 281474976730656 bytes", func(b []byte) { b[inodeOf("/big")+0x6c+2] = 1 }},
		{"\"/symlink\": symlink target of 2000 bytes", func(b []byte) { le.PutUint16(b[inodeOf("/symlink")+4:], 2000) }},
		{"holds a NUL", func(b []byte) { b[inodeOf("/symlink")+0x2a] = 0 }},
		{"\"/names\": magic number 0x0000 of an extent tree", func(b []byte) { clear(b[inodeOf("/names")+0x28:][:2]) }},
		{"\"/names\": directory of 3000 bytes", func(b []byte) { le.PutUint16(b[inodeOf("/names")+4:], 3000) }},
		{"\"/names\": extent: blocks", func(b []byte) { b[inodeOf("/names")+0x28+12+11] = 255 }},
		{"\"/names\": directory has no block 0", func(b []byte) { b[inodeOf("/names")+0x28+2] = 0 }},
		{"\"/names\": the directory is encrypted", func(b []byte) { b[inodeOf("/names")+0x21] |= 8 }},
		{"\"/c\": extended attribute at byte 0 of 92 has a name of 255 bytes", func(b []byte) { b[inodeOf("/c")+0xa4] = 255 }},
		{"\"/c\": extended attribute \"y\" has a prefix of number 99", func(b []byte) { b[inodeOf("/c")+0xa5] = 99 }},
		{"\"/b\": block", func(b []byte) { clear(b[int64(le.Uint32(b[inodeOf("/b")+0x68:]))*1024:][:4]) }},
	} {
		b := bytes.Clone(whole)
		c.damage(b)
		if _, err := Read(bytes.NewReader(mended(b)), int64(len(b))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, not %q", err, c.want)
		}
	}
	for _, size := range []int64{0, 1000, 1100, 4096} {
		if _, err := Read(bytes.NewReader(whole), size); err == nil {
			t.Errorf("%d bytes of the image were read", size)
		}
	}
	if _, err := Read(bytes.NewReader(whole[:10_000]), int64(len(whole))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an image that ends early: %v", err)
	}
}

// A file system with unknown compatible features is read, and they are reported.
func TestUnknownFeatures(t *testing.T) {
	b := small(t)
	b[superOffset+0x67] |= 0x40
	b[superOffset+0x5f] |= 0x20
	v, err := Read(bytes.NewReader(mended(b)), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if f := strings.Join(v.Features, " "); !strings.HasSuffix(f, "unknown-compat-0x20000000 unknown-ro_compat-0x40000000") {
		t.Errorf("features %s", f)
	}
	if found := strings.Join(faults(v), "\n"); !strings.Contains(found, "read-only compatible features 0x40000000 are not known") {
		t.Errorf("faults %s", found)
	}
}

// The error for a bad superblock has the offsets of good copies.
func TestCopiesOfBadSuperblock(t *testing.T) {
	o := testOptions()
	o.Free, o.BlockSize = 30<<20, 1024
	b := partitiontest.Bytes(t, plan(t, build(t, nil), o))
	b[superOffset+0x78] ^= 1
	_, err := Read(bytes.NewReader(b), int64(len(b)))
	if err == nil || !strings.Contains(err.Error(), "does not match its bytes") || !strings.HasSuffix(err.Error(), "copies of it are good at byte 8389632, 25166848") {
		t.Error(err)
	}
}

// Encrypted and compressed files are in the tree; their content is refused when it is opened.
func TestRefusedContent(t *testing.T) {
	for want, flags := range map[string]uint32{"encrypted": encryptFlag | extentsFlag, "compressed": compressedFlag | 0x200} {
		b := small(t, "^metadata_csum")
		v, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		for number, p := range v.paths() {
			if at, _ := v.inodeAt(v.newWindows(), number); p == "/big" {
				le.PutUint32(b[at+0x20:], flags)
			}
		}
		if v, err = Read(bytes.NewReader(b), int64(len(b))); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Tree.Find("/big").Blob().Open(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Directories whose maps all lead to the same blocks have together more bytes than the file system.
func TestReadOverlap(t *testing.T) {
	nodes := map[string]*tree.Node{"/names": tree.NewDir("", plain, manyFiles(2000))}
	for i := range 20 {
		nodes[fmt.Sprint("/", i)] = tree.NewSymlink("", plain, strings.Repeat("t", 60))
	}
	o := testOptions()
	o.BlockSize, o.Features = 1024, []string{"^metadata_csum", "^has_journal", "^resize_inode"}
	b := partitiontest.Bytes(t, plan(t, build(t, nodes), o))
	v, err := Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var names inode
	for number, p := range v.paths() {
		if p == "/names" {
			names = readInode(t, v, number)
		}
	}
	for number, p := range v.paths() {
		if len(p) <= 3 && p != "/" {
			at, _ := v.inodeAt(v.newWindows(), number)
			n := readInode(t, v, number)
			n.Mode, n.Block, n.SizeLo = names.Mode, names.Block, names.SizeLo
			n.encode(b[at:])
		}
	}
	_, err = Read(bytes.NewReader(b), int64(len(b)))
	if err == nil {
		t.Error("overlapping directories were read")
	}
}

// FuzzRead changes some bytes of an image. Contents of a tree that is read can be read or are refused; checking and explaining end.
func FuzzRead(f *testing.F) {
	images := [][]byte{small(f), small(f, "^metadata_csum", "^64bit"), stored(f, "ext2.img.gz"), stored(f, "inline.img.gz"), stored(f, "csum.img.gz")}
	for i := range images {
		f.Add(uint8(i), []byte{})
		f.Add(uint8(130+i), []byte{}) // a multiple of five more, explained too
		for _, at := range []int{1024, 2048, 8 << 10, 20 << 10, 40 << 10} {
			f.Add(uint8(i), []byte{byte(at), byte(at >> 8), byte(at >> 16), 1, 2, 3, 255, 1})
		}
	}
	buf := make([]byte, 1<<16)
	f.Fuzz(func(t *testing.T, which uint8, patches []byte) {
		b := bytes.Clone(images[int(which)%len(images)])
		for ; len(patches) >= 8; patches = patches[8:] { // three bytes of offset, five of content
			at := int(patches[0]) | int(patches[1])<<8 | int(patches[2])<<16
			copy(b[at%len(b):], patches[3:8])
		}
		image := bytes.NewReader(mended(b))
		v, err := Open(image, int64(len(b)))
		if err != nil {
			return
		}
		n := 0
		v.Check(func(fault.Fault) { n++ })
		if n > 10*len(b) {
			t.Errorf("%d faults", n)
		}
		if which >= 128 { // takes as long as Check
			v.Explain(int64(len(b) / 3))
		}
		if v, err = Read(image, int64(len(b))); err != nil {
			return
		}
		for node := range v.Tree.Nodes() {
			if node.Kind() != tree.File {
				continue
			}
			if data := tree.DataOf(node.Blob()); len(data) > len(b)/1024 {
				t.Errorf("%d ranges of data in an image of %d bytes", len(data), len(b))
			}
			if r, err := node.Blob().Open(); err == nil {
				_, _ = r.ReadAt(buf[:min(int64(len(buf)), node.Size())], 0)
				_, _ = r.ReadAt(buf[:1], node.Size()/2)
			}
		}
	})
}
