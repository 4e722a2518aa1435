package ext4

import (
	"imprint/internal/tree"
)

// Sizes of an inode (kernel: "Inode Table"): 256 bytes, of which 128 are those of ext2, 32 more have fields, and the last 96 are
// room for extended attributes.
const (
	inodeSize   = 256
	oldInode    = 128
	extraFields = 32
)

// Inode numbers with a meaning (kernel: "Special inodes").
const (
	rootInode      = 2
	resizeInodeNr  = 7
	journalInode   = 8
	lostFoundInode = 11
	firstInode     = 12 // that this writer gives to a node of the tree
)

// Types in i_mode, by kind of node, and inode flags.
var modeTypes = [...]uint16{
	tree.File: 0x8000, tree.Dir: 0x4000, tree.Symlink: 0xa000, tree.CharDevice: 0x2000, tree.BlockDevice: 0x6000,
	tree.Fifo: 0x1000, tree.Socket: 0xc000,
}

const (
	indexFlag   = 0x1000
	extentsFlag = 0x80000
)

// Times that an inode can hold: 32 signed bits of seconds, and two more that add up to three times 2^32. What is negative with the
// largest of these, 2310-04-04 and later, e2fsck takes for a time before 1970 that an old kernel wrote.
const (
	minTime = -1 << 31
	maxTime = 3<<32 - 1<<31 - 1
)

// An inode is what is written into one entry of an inode table.
type inode struct {
	mode     uint16
	uid, gid uint32
	links    uint16
	flags    uint32
	size     int64
	blocks   int64 // of the file system, with those of the extent tree and of extended attributes
	xattr    int64 // block with extended attributes; 0: none
	time     tree.Time
	block    [rootNodeSize]byte // root of the extent tree, target of a short symlink, or device number
}

// put writes the inode into 256 bytes of zeros that may hold extended attributes already, and the checksum.
func (n *inode) put(b []byte, f format, sum checksum) {
	le.PutUint16(b[0x00:], n.mode)
	le.PutUint16(b[0x02:], uint16(n.uid))
	le.PutUint32(b[0x04:], uint32(n.size))
	le.PutUint16(b[0x18:], uint16(n.gid))
	le.PutUint16(b[0x1a:], n.links)
	sectors := n.blocks * (f.blockSize / 512)
	le.PutUint32(b[0x1c:], uint32(sectors))
	le.PutUint32(b[0x20:], n.flags)
	copy(b[0x28:], n.block[:])
	le.PutUint32(b[0x68:], uint32(n.xattr))
	le.PutUint32(b[0x6c:], uint32(n.size>>32))
	le.PutUint16(b[0x74:], uint16(sectors>>32))
	le.PutUint16(b[0x76:], uint16(n.xattr>>32))
	le.PutUint16(b[0x78:], uint16(n.uid>>16))
	le.PutUint16(b[0x7a:], uint16(n.gid>>16))
	le.PutUint16(b[0x80:], extraFields)
	n.putTimes(b)
	if f.features.has(metadataCsum) {
		c := sum.over(b[:inodeSize])
		le.PutUint16(b[0x7c:], uint16(c))
		le.PutUint16(b[0x82:], uint16(c>>16))
	}
}

// putTimes sets access, change, modification and birth time, all to the one time that is known.
func (n *inode) putTimes(b []byte) {
	extra := uint32((n.time.Sec-int64(int32(n.time.Sec)))>>32)&3 | n.time.Nsec<<2
	for _, at := range [...]struct{ seconds, extra int }{{0x08, 0x8c}, {0x0c, 0x84}, {0x10, 0x88}, {0x90, 0x94}} {
		le.PutUint32(b[at.seconds:], uint32(n.time.Sec))
		le.PutUint32(b[at.extra:], extra)
	}
}

// putDevice sets the device number: in 16 bits where it fits, as ever, else in the second word with 12 bits of major and 20 of minor.
func (n *inode) putDevice(d tree.Device) {
	if d.Major < 256 && d.Minor < 256 {
		le.PutUint32(n.block[0:], d.Major<<8|d.Minor)
		return
	}
	le.PutUint32(n.block[4:], d.Minor&0xff|d.Major<<8|d.Minor&^0xff<<12)
}
