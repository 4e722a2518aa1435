package erofs

import (
	"encoding/binary"
	"hash/crc32"
	"strings"

	"imprint/internal/tree"
)

var le = binary.LittleEndian

// blockSize is the unit in bytes of contents and directories: 1 << blkszbits. Inodes begin at multiples of slotSize; the number of the
// slot, counted from the start of the file system, is the inode's nid.
const (
	blockBits     = 12
	blockSize     = 1 << blockBits
	slotSize      = 32
	slotsPerBlock = blockSize / slotSize
)

// The superblock (fs/erofs/erofs_fs.h: struct erofs_super_block) is 128 bytes at 1024, and its checksum covers the rest of the first block.
const (
	superOffset = 1024
	superSize   = 128
	superMagic  = 0xe0f5e1e2
)

// Features that old readers may ignore: superblock checksum, and inode times that are modification times.
const (
	compatChecksum = 1 << 0
	compatMtime    = 1 << 1
)

// Layouts of an inode's content (enum erofs_inode_datalayout): blocks alone, or whole blocks and a tail after the inode.
const (
	flatPlain  = 0
	flatInline = 2
)

// A superblock is the part of struct erofs_super_block that a file system without compression uses.
type superblock struct {
	compat, incompat uint32
	blockBits        uint8
	dirBits          uint8  // directory blocks are 1 << dirBits blocks
	root             uint16 // nid
	inodes           uint64
	made             tree.Time // build_time: the time of all compact inodes
	blocks           uint32
	metaBlock        uint32 // nids count from here
	xattrBlock       uint32 // the IDs of shared attributes count from here
	uuid             [16]byte
	label            string // volume_name
	checksum         uint32
}

// put writes the superblock into 128 bytes of zeros. Fields that it omits belong to compression, to further devices or to later versions.
func (s superblock) put(b []byte) {
	le.PutUint32(b[0:], superMagic)
	le.PutUint32(b[4:], s.checksum)
	le.PutUint32(b[8:], s.compat)
	b[12] = s.blockBits
	le.PutUint16(b[14:], s.root)
	le.PutUint64(b[16:], s.inodes)
	le.PutUint64(b[24:], uint64(s.made.Sec))
	le.PutUint32(b[32:], s.made.Nsec)
	le.PutUint32(b[36:], s.blocks)
	le.PutUint32(b[40:], s.metaBlock)
	le.PutUint32(b[44:], s.xattrBlock)
	copy(b[48:64], s.uuid[:])
	copy(b[64:80], s.label)
	le.PutUint32(b[80:], s.incompat)
	b[90] = s.dirBits
}

// parseSuper is the inverse of put. It reports whether the magic number is there.
func parseSuper(b []byte) (s superblock, ok bool) {
	s = superblock{
		compat: le.Uint32(b[8:]), incompat: le.Uint32(b[80:]), blockBits: b[12], dirBits: b[90], root: le.Uint16(b[14:]), inodes: le.Uint64(b[16:]),
		made:   tree.Time{Sec: int64(le.Uint64(b[24:])), Nsec: le.Uint32(b[32:])},
		blocks: le.Uint32(b[36:]), metaBlock: le.Uint32(b[40:]), xattrBlock: le.Uint32(b[44:]), uuid: [16]byte(b[48:64]),
		label: strings.TrimRight(string(b[64:80]), "\x00"), checksum: le.Uint32(b[4:]),
	}
	return s, le.Uint32(b) == superMagic
}

// superChecksum is the CRC32C of the first block from the superblock on, with the checksum field zero. The kernel's crc32c leaves out the
// final inversion, which is therefore undone here.
func superChecksum(block []byte) uint32 {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Checksum(block[superOffset:superOffset+4], castagnoli)
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return ^crc32.Update(sum, castagnoli, block[superOffset+8:])
}

// Sizes in bytes of the two forms of an inode (struct erofs_inode_compact, erofs_inode_extended).
const (
	compactSize  = 32
	extendedSize = 64
)

// An inode is an inode of either form, decoded.
type inode struct {
	extended bool // has its own time, and owners, links and size beyond the compact form
	layout   uint8
	xattrs   uint16 // i_xattr_icount, see xattrCount
	mode     uint16 // with the type in the high bits, as in stat
	links    uint32
	size     int64  // bytes
	u        uint32 // i_u: first block of the content, or the number of a device
	number   uint32 // i_ino: for programs with inode numbers of 32 bits
	uid, gid uint32
	mtime    tree.Time // of extended ones; compact ones have the superblock's
}

// bytes is the size of the inode in its form.
func (n inode) bytes() int64 {
	if n.extended {
		return extendedSize
	}
	return compactSize
}

// append appends the inode in its form. The first 24 bytes are common to both, except that the extended form has a size of 64 bits, and its link
// count elsewhere. Bit 0 of the format selects the form, bits 1 to 3 are the layout of the content.
func (n inode) append(b []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, n.bytes())...)
	p := b[at:]
	format := uint16(n.layout) << 1
	if n.extended {
		format |= 1
	}
	le.PutUint16(p[0:], format)
	le.PutUint16(p[2:], n.xattrs)
	le.PutUint16(p[4:], n.mode)
	le.PutUint32(p[16:], n.u)
	le.PutUint32(p[20:], n.number)
	if !n.extended {
		le.PutUint16(p[6:], uint16(n.links))
		le.PutUint32(p[8:], uint32(n.size))
		le.PutUint16(p[24:], uint16(n.uid))
		le.PutUint16(p[26:], uint16(n.gid))
		return b
	}
	le.PutUint64(p[8:], uint64(n.size))
	le.PutUint32(p[24:], n.uid)
	le.PutUint32(p[28:], n.gid)
	le.PutUint64(p[32:], uint64(n.mtime.Sec))
	le.PutUint32(p[40:], n.mtime.Nsec)
	le.PutUint32(p[44:], n.links)
	return b
}

// parseInode is the inverse of append, for 64 bytes or, of the compact form, 32. It reports whether the format is a known one.
func parseInode(b []byte, made tree.Time) (n inode, ok bool) {
	format := le.Uint16(b[0:])
	n = inode{
		extended: format&1 != 0, layout: uint8(format >> 1 & 7), xattrs: le.Uint16(b[2:]), mode: le.Uint16(b[4:]),
		u: le.Uint32(b[16:]), number: le.Uint32(b[20:]),
	}
	if !n.extended {
		n.links, n.size, n.mtime = uint32(le.Uint16(b[6:])), int64(le.Uint32(b[8:])), made
		n.uid, n.gid = uint32(le.Uint16(b[24:])), uint32(le.Uint16(b[26:]))
		return n, format>>4 == 0
	}
	if len(b) < extendedSize {
		return n, format>>4 == 0
	}
	n.size, n.links = int64(le.Uint64(b[8:])), le.Uint32(b[44:])
	n.uid, n.gid = le.Uint32(b[24:]), le.Uint32(b[28:])
	n.mtime = tree.Time{Sec: int64(le.Uint64(b[32:])), Nsec: le.Uint32(b[40:])}
	return n, format>>4 == 0
}

// A kindCode is a kind of node: in the high bits of a mode, and as a byte in a directory (linux/fs_types.h).
type kindCode struct {
	mode  uint16
	entry uint8
}

var kindCodes = [...]kindCode{
	tree.File: {0o100000, 1}, tree.Dir: {0o040000, 2}, tree.CharDevice: {0o020000, 3}, tree.BlockDevice: {0o060000, 4},
	tree.Fifo: {0o010000, 5}, tree.Socket: {0o140000, 6}, tree.Symlink: {0o120000, 7},
}

// typeMask is where the type is in a mode.
const typeMask = 0o170000

// kindOf is the kind of a node with a mode.
func kindOf(mode uint16) (tree.Kind, bool) {
	for kind := tree.File; kind <= tree.Socket; kind++ {
		if kindCodes[kind].mode == mode&typeMask {
			return kind, true
		}
	}
	return 0, false
}

// deviceNumber packs the number of a device as the kernel does (new_encode_dev): the minor's low 8 bits, the major, the minor's rest.
func deviceNumber(d tree.Device) uint32 { return d.Minor&0xff | d.Major<<8 | d.Minor&^0xff<<12 }

// parseDevice is the inverse of deviceNumber.
func parseDevice(n uint32) tree.Device {
	return tree.Device{Major: n >> 8 & 0xfff, Minor: n&0xff | n>>12&^0xff}
}

// direntSize is the bytes of a directory entry besides its name (struct erofs_dirent): nid, offset of the name, type.
const direntSize = 12
