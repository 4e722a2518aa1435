package ext4

import "imprint/internal/tree"

// Sizes of an inode in bytes (kernel: "Inode Table"): 256, of which the first 128 are the inode of ext2, the next 32 have further fields, and
// the last 96 are space for extended attributes.
const (
	inodeSize   = 256
	oldInode    = 128
	extraFields = 32
)

// Offsets in bytes of i_checksum_lo and i_checksum_hi.
const (
	checksumLoAt = 0x7c
	checksumHiAt = 0x82
)

// Special inode numbers (kernel: "Special inodes").
const (
	rootInode      = 2
	resizeInodeNr  = 7
	journalInode   = 8
	lostFoundInode = 11
	firstInode     = 12 // the first number for nodes of the tree
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

// The range of times in seconds since 1970: 32 bits with sign, and two more bits that add up to three times 2^32. It ends before 2310-04-04,
// although an inode can hold later times: these are negative with both bits set, and e2fsck takes them for times before 1970 that an old
// kernel wrote.
const (
	minTime = -1 << 31
	maxTime = 3<<32 - 1<<31 - 1
)

// An inode is an entry of an inode table (kernel: "Inode Table", struct ext4_inode), field by field and without extended attributes,
// which lie after it. Block is the root of the extent tree, the target of a short symlink, or a device number. Version is i_osd1, Reserved
// is l_i_reserved: the parts of the unions that Linux uses.
type inode struct {
	Mode, UID                       uint16 // UID: lower half
	SizeLo                          uint32
	Atime, Ctime, Mtime, Dtime      uint32
	GID, LinksCount                 uint16 // GID: lower half
	BlocksLo, Flags, Version        uint32 // Blocks: in sectors of 512 bytes
	Block                           [rootNodeSize]byte
	Generation, FileACLLo, SizeHigh uint32 // FileACL: the block with extended attributes
	ObsoFaddr                       uint32
	BlocksHigh, FileACLHigh         uint16
	UIDHigh, GIDHigh                uint16
	ChecksumLo, Reserved            uint16
	ExtraIsize, ChecksumHi          uint16
	CtimeExtra, MtimeExtra          uint32
	AtimeExtra, Crtime, CrtimeExtra uint32
	VersionHi, Projid               uint32
}

// newInode returns an inode with one link, whose access, change, modification and birth time are the one time that a tree has.
func newInode(mode uint16, t tree.Time) inode {
	seconds := uint32(t.Sec)
	extra := uint32((t.Sec-int64(int32(t.Sec)))>>32)&3 | t.Nsec<<2 // 2 more bits of seconds, 30 bits of nanoseconds
	return inode{
		Mode: mode, LinksCount: 1, ExtraIsize: extraFields,
		Atime: seconds, Ctime: seconds, Mtime: seconds, Crtime: seconds,
		AtimeExtra: extra, CtimeExtra: extra, MtimeExtra: extra, CrtimeExtra: extra,
	}
}

func (n *inode) setOwner(uid, gid uint32) {
	n.UID, n.UIDHigh = uint16(uid), uint16(uid>>16)
	n.GID, n.GIDHigh = uint16(gid), uint16(gid>>16)
}

func (n *inode) setSize(bytes int64) { n.SizeLo, n.SizeHigh = uint32(bytes), uint32(bytes>>32) }

// setXattrs sets the block with extended attributes.
func (n *inode) setXattrs(block int64) { n.FileACLLo, n.FileACLHigh = uint32(block), uint16(block>>32) }

// addBlocks counts blocks of the file system that belong to the inode: content, extent tree and extended attributes.
func (n *inode) addBlocks(blocks int64, f *format) {
	sectors := int64(n.BlocksHigh)<<32 + int64(n.BlocksLo) + blocks*(f.blockSize/512)
	n.BlocksLo, n.BlocksHigh = uint32(sectors), uint16(sectors>>32)
}

// setDevice sets the device number: in 16 bits of the first word if it fits there, else in the second word, with 12 bits for the major and 20
// for the minor number.
func (n *inode) setDevice(d tree.Device) {
	if d.Major < 256 && d.Minor < 256 {
		le.PutUint32(n.Block[0:], d.Major<<8|d.Minor)
		return
	}
	le.PutUint32(n.Block[4:], d.Minor&0xff|d.Major<<8|d.Minor&^0xff<<12)
}

// inodeNames are the fields in their order, as the kernel has them.
const inodeNames = `i_mode i_uid i_size_lo i_atime i_ctime i_mtime i_dtime i_gid i_links_count i_blocks_lo i_flags i_osd1 i_block i_generation
i_file_acl_lo i_size_high i_obso_faddr l_i_blocks_high l_i_file_acl_high l_i_uid_high l_i_gid_high l_i_checksum_lo l_i_reserved
i_extra_isize i_checksum_hi i_ctime_extra i_mtime_extra i_atime_extra i_crtime i_crtime_extra i_version_hi i_projid`

// fields codes the first 160 bytes.
func (n *inode) fields(c *codec) {
	c.u16(&n.Mode, &n.UID)
	c.u32(&n.SizeLo, &n.Atime, &n.Ctime, &n.Mtime, &n.Dtime)
	c.u16(&n.GID, &n.LinksCount)
	c.u32(&n.BlocksLo, &n.Flags, &n.Version)
	c.bytes(n.Block[:])
	c.u32(&n.Generation, &n.FileACLLo, &n.SizeHigh, &n.ObsoFaddr)
	c.u16(&n.BlocksHigh, &n.FileACLHigh, &n.UIDHigh, &n.GIDHigh, &n.ChecksumLo, &n.Reserved, &n.ExtraIsize, &n.ChecksumHi)
	c.u32(&n.CtimeExtra, &n.MtimeExtra, &n.AtimeExtra, &n.Crtime, &n.CrtimeExtra, &n.VersionHi, &n.Projid)
}

func (n *inode) encode(b []byte) { n.fields(&codec{b, true}) }
func (n *inode) decode(b []byte) { n.fields(&codec{b, false}) }

// put writes the inode into 256 bytes of zeros that may hold extended attributes already, with a checksum over all of them.
func (n *inode) put(b []byte, f *format, sum checksum) {
	n.encode(b)
	if f.features.has(metadataCsum) {
		c := sum.over(b[:inodeSize])
		le.PutUint16(b[checksumLoAt:], uint16(c))
		le.PutUint16(b[checksumHiAt:], uint16(c>>16))
	}
}
