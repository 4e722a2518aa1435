package ext4

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// The structures as the kernel's document lists them, for reading back.
type (
	wireInode struct {
		Mode, UID                                uint16
		Size, Atime, Ctime, Mtime, Dtime         uint32
		GID, Links                               uint16
		Blocks, Flags, Version                   uint32
		Block                                    [60]byte
		Generation, FileACL, SizeHigh, Fragment  uint32
		BlocksHigh, ACLHigh, UIDHigh, GIDHigh    uint16
		ChecksumLow, Reserved                    uint16
		ExtraIsize, ChecksumHigh                 uint16
		CtimeExtra, MtimeExtra, AtimeExtra       uint32
		Crtime, CrtimeExtra, VersionHigh, Projid uint32
		Xattrs                                   [96]byte
	}
	wireDescriptor struct {
		BlockBitmap, InodeBitmap, InodeTable         uint32
		FreeBlocks, FreeInodes, UsedDirs, Flags      uint16
		Exclude                                      uint32
		BlockSum, InodeSum, Unused, Checksum         uint16
		BlockBitmapHi, InodeBitmapHi, InodeTableHi   uint32
		FreeBlocksHi, FreeInodesHi, DirsHi, UnusedHi uint16
		ExcludeHi                                    uint32
		BlockSumHi, InodeSumHi                       uint16
		Reserved                                     uint32
	}
	wireExtentHeader struct {
		Magic, Entries, Max, Depth uint16
		Generation                 uint32
	}
	wireExtent struct {
		Block   uint32
		Len, Hi uint16
		Lo      uint32
	}
	wireXattrHeader struct {
		Magic, Refs, Blocks, Hash, Checksum uint32
		Reserved                            [3]uint32
	}
	wireXattrEntry struct {
		NameLen, Index              uint8
		Offset                      uint16
		ValueInode, ValueSize, Hash uint32
	}
	wireDirTail struct {
		Inode    uint32
		RecLen   uint16
		NameLen  uint8
		Type     uint8
		Checksum uint32
	}
)

func TestStructureSizes(t *testing.T) {
	for _, c := range []struct {
		name string
		v    any
		want int
	}{
		{"superblock", superblock{}, superSize}, {"journal superblock", journalSuper{}, 0x50}, {"inode", wireInode{}, inodeSize},
		{"inode's fields", inode{}, oldInode + extraFields}, {"group descriptor", groupDescriptor{}, 64},
		{"descriptor", wireDescriptor{}, 64}, {"extent header", wireExtentHeader{}, extentSize}, {"extent", wireExtent{}, extentSize},
		{"attribute header", wireXattrHeader{}, xattrHeader}, {"attribute", wireXattrEntry{}, xattrEntry}, {"directory tail", wireDirTail{}, dirTail},
	} {
		if got := binary.Size(c.v); got != c.want {
			t.Errorf("%s has %d bytes, not %d", c.name, got, c.want)
		}
	}
	if f := (format{blockSize: 4096, features: 1 << metadataCsum}); f.rootLimit() != 507 || f.nodeLimit() != 510 || f.nodeEntries() != 340 {
		t.Errorf("an index root has %d entries, a node %d, an extent block %d", f.rootLimit(), f.nodeLimit(), f.nodeEntries())
	}
}

// readStruct reads a structure from the image.
func readStruct(t *testing.T, p *Plan, off int64, v any) {
	t.Helper()
	b := make([]byte, binary.Size(v))
	if err := extent.ReadAt(p, b, off); err != nil {
		t.Fatal(err)
	}
	if err := binary.Read(bytes.NewReader(b), le, v); err != nil {
		t.Fatal(err)
	}
}

// Each field of an inode and a descriptor is where it belongs, the upper halves too.
func TestInodeAndDescriptorFields(t *testing.T) {
	attr := &tree.Attr{
		Mode: 0o4751, UID: 0x12345678, GID: 0x9abcdef0, Mtime: tree.Time{Sec: 1<<32 + 5, Nsec: 77},
		Xattrs: []tree.Xattr{{Name: "user.x", Value: bytes.Repeat([]byte("v"), 500)}},
	}
	tr := build(t, map[string]*tree.Node{"/f": tree.NewFile("", attr, &holey{size: 5 << 32, step: 6 << 32, count: 9000})})
	p := plan(t, tr, testOptions())
	var d wireDescriptor
	readStruct(t, p, 4096, &d)
	if d.FreeInodes != uint16(p.g.inodesPerGroup-12) || d.UsedDirs != 2 || d.Unused != d.FreeInodes || d.Flags != inodeZeroed {
		t.Errorf("descriptor %+v", d)
	}
	var n wireInode
	readStruct(t, p, int64(d.InodeTable)*4096+11*inodeSize, &n)
	checks := map[string]bool{
		"mode": n.Mode == 0o104751, "owner": n.UID == 0x5678 && n.UIDHigh == 0x1234 && n.GID == 0xdef0 && n.GIDHigh == 0x9abc,
		"size": n.Size == 0 && n.SizeHigh == 5, "blocks": n.Blocks == 4*8, "links": n.Links == 1, "flags": n.Flags == extentsFlag,
		"times":  n.Mtime == 5 && n.Atime == 5 && n.Ctime == 5 && n.Crtime == 5 && n.MtimeExtra == 77<<2|1 && n.CrtimeExtra == n.MtimeExtra && n.Dtime == 0,
		"extra":  n.ExtraIsize == extraFields && n.Generation == 0,
		"xattrs": n.FileACL != 0 && n.Xattrs == [96]byte{},
	}
	for what, ok := range checks {
		if !ok {
			t.Errorf("%s of inode %+v", what, n)
		}
	}
	var h wireXattrHeader
	readStruct(t, p, int64(n.FileACL)*4096, &h)
	if h.Magic != xattrMagic || h.Refs != 1 || h.Blocks != 1 {
		t.Errorf("attribute block %+v", h)
	}
}

// The error for a node that ext4 cannot hold names the path and both numbers.
func TestRefusals(t *testing.T) {
	mode := &tree.Attr{Mode: 0o10000}
	for _, c := range []struct {
		node *tree.Node
		want string
	}{
		{tree.NewFile("", nil, tree.Text("")), "/x: has no attributes"},
		{tree.NewFile("", plain, nil), "/x: has no content"},
		{tree.NewFile("", mode, tree.Text("")), "/x: mode 010000 is above 07777"},
		{tree.NewFile("", &tree.Attr{UID: 1<<32 - 1}, tree.Text("")), "/x: owner 4294967295:0"},
		{tree.NewFile("", at(maxTime+1, 0), tree.Text("")), "/x: time 10737418240.000000000 is not within -2147483648 and 10737418239"},
		{tree.NewFile("", at(0, 1e9), tree.Text("")), "/x: time 0 has 1000000000 nanoseconds"},
		{tree.NewFile("", plain, &holey{size: 100, step: 50, count: 60}), "/x: data of 50 bytes at 50 is out of order"},
		{tree.NewSymlink("", plain, ""), "/x: symlink target of 0 bytes, 1 to 4095 are allowed"},
		{tree.NewSymlink("", plain, strings.Repeat("x", 4096)), "/x: symlink target of 4096 bytes"},
		{tree.NewSymlink("", plain, "a\x00b"), "holds a NUL"},
		{tree.NewDevice("", plain, tree.CharDevice, tree.Device{Major: 4096}), "/x: device number 4096:0 is over 4095:1048575"},
		{tree.NewFile("", withXattrs("btrfs.compression", "zstd"), tree.Text("")), `/x: extended attribute "btrfs.compression": ext4 cannot store`},
		{tree.NewFile("", withXattrs("user.", "zstd"), tree.Text("")), `/x: extended attribute "user.": ext4 cannot store`},
		{tree.NewFile("", withXattrs("user."+strings.Repeat("n", 256), ""), tree.Text("")), "attribute name of 256 bytes, 255 are allowed"},
		{tree.NewFile("", withXattrs("user.x", strings.Repeat("v", 4096)), tree.Text("")), "of 4116 bytes, a block has room for 4060"},
		{tree.NewFile("", withXattrs("user.x", "1", "user.x", "2"), tree.Text("")), `duplicate extended attribute "x"`},
		{tree.NewFile("", withXattrs(aclAccess, "\x02\x00\x00"), tree.Text("")), "access control list of 3 bytes"},
		{tree.NewFile("", withXattrs(aclAccess, "\x01\x00\x00\x00"), tree.Text("")), "access control list of version 1, not 2"},
		{tree.NewFile("", withXattrs(aclAccess, "\x02\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00"), tree.Text("")), "entry of tag 0x3"},
	} {
		_, err := New(build(t, map[string]*tree.Node{"/x": c.node}), testOptions())
		if err == nil || !strings.HasPrefix(err.Error(), "lay out ext4: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v; want %q", err, c.want)
		}
	}
}

func TestHugeFileRefused(t *testing.T) {
	tr := build(t, map[string]*tree.Node{"/x": tree.NewFile("", plain, zeros(2<<40))})
	o := testOptions()
	o.Features = []string{"^huge_file"}
	_, err := New(tr, o)
	if err == nil || !strings.Contains(err.Error(), "/x: 536870912 blocks, a file without the feature huge_file can have 536739839") {
		t.Error(err)
	}
	o.Features = nil
	var n wireInode
	p := plan(t, tr, o)
	readStruct(t, p, p.g.group[0].inodeTable*4096+11*inodeSize, &n)
	if sectors := int64(n.BlocksHigh)<<32 | int64(n.Blocks); sectors <= 1<<32 {
		t.Errorf("a file of 2 TiB has %d sectors", sectors)
	}
}

func TestOptionsRefused(t *testing.T) {
	for want, set := range map[string]func(o *Options){
		"block size 8192":                  func(o *Options) { o.BlockSize = 8192 },
		`label "0123456789abcdefg" has 17`: func(o *Options) { o.Label = "0123456789abcdefg" },
		"size of -1":                       func(o *Options) { o.Size = -1 },
		"a journal has 1024 to 10240000 blocks, not 1023": func(o *Options) { o.JournalSize = 1023 * 4096 },
		"100 bytes per inode":                             func(o *Options) { o.BytesPerInode = 100 },
		"epoch 99999999999":                               func(o *Options) { o.Epoch = 99999999999 },
		"reserved blocks are more than half":              func(o *Options) { o.Reserved = 1 << 30 },
		`unknown feature "casefold"`:                      func(o *Options) { o.Features = []string{"casefold"} },
		"4294967296 inodes, 4294967295":                   func(o *Options) { o.Size, o.BytesPerInode = 16<<40, 4096 },
		`unknown feature "quota"`:                         func(o *Options) { o.Features = []string{"^quota"} },
		`feature "extent" cannot be turned off`:           func(o *Options) { o.Features = []string{"^extent"} },
		"4294967296 blocks of 4096 bytes, 4294967295":     func(o *Options) { o.Size, o.Features = 16<<40, []string{"^64bit"} },
	} {
		o := testOptions()
		set(&o)
		if _, err := New(build(t, nil), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

// FuzzNew lays out a tree with any size and options: extents lie within the size, in order.
func FuzzNew(f *testing.F) {
	f.Add(int64(0), int64(0), int64(0), int64(0), uint16(0), uint8(2), uint16(10))
	f.Add(int64(1<<30), int64(1<<20), int64(100), int64(0), uint16(5), uint8(0), uint16(3000))
	hosttest.Fuzz(f, func(t *testing.T, size, free, inodes, perInode int64, features uint16, blockSize uint8, files uint16) {
		o := testOptions()
		o.Size, o.Free, o.FreeInodes, o.BytesPerInode, o.BlockSize = size, free, inodes, perInode, 1024<<(blockSize%3)
		for i, f := range featureTable {
			if f.optional && features>>i&1 != 0 {
				o.Features = append(o.Features, "^"+f.name)
			}
		}
		p, err := New(build(t, map[string]*tree.Node{"/d": tree.NewDir("", plain, manyFiles(int(files))), "/f": file(50_000)}), o)
		if err != nil {
			return
		}
		end := int64(0)
		for e := range p.Extents(0) {
			if e.Off < end || e.Len <= 0 || e.End() > p.Size() {
				t.Fatalf("extent of %d bytes at %d after one that ends at %d, region of %d", e.Len, e.Off, end, p.Size())
			}
			if end = e.End(); end > 1<<33 {
				break
			}
		}
		if s := p.Summary(); s.FreeBlocks*s.BlockSize < free || s.FreeInodes < inodes || size > 0 && p.Size() > size {
			t.Fatalf("%+v for %d bytes with %d bytes and %d inodes free", s, size, free, inodes)
		}
	})
}

// FuzzACL: whatever the attribute holds, it is stored or refused.
func FuzzACL(f *testing.F) {
	f.Add([]byte(acl))
	hosttest.Fuzz(f, func(t *testing.T, value []byte) {
		stored, err := storedACL(value)
		if err == nil && (len(stored) > len(value) || len(stored) < 4) {
			t.Errorf("%x is stored as %x", value, stored)
		}
	})
}

// FuzzCheckFeatures: words are refused, or New takes them, and the superblock says what they say, the last one of each feature.
func FuzzCheckFeatures(f *testing.F) {
	for _, s := range []string{"", "^has_journal", "64bit ^64bit", "^64bit ^metadata_csum", "^^64bit", "^", "none", "extent", "^extent", "dir_index,^resize_inode",
		"^metadata_csum_seed ^orphan_file ^resize_inode ^has_journal"} {
		f.Add(s)
	}
	empty := build(f, nil)
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		words := strings.Fields(text)
		refused := CheckFeatures(words)
		o := testOptions()
		o.Features = words
		p, err := New(empty, o)
		if (refused == nil) != (err == nil) {
			t.Fatalf("CheckFeatures gave %v, New %v", refused, err)
		}
		if err != nil {
			return
		}
		want := map[string]bool{}
		for _, w := range words {
			want[strings.TrimPrefix(w, "^")] = !strings.HasPrefix(w, "^")
		}
		for name, on := range want {
			found := p.Summary().Features
			if slices.Contains(found, name) != on && name != "has_journal" { // there is none where there is no room for one
				t.Errorf("%q: the file system has %v", words, found)
			}
		}
	})
}
