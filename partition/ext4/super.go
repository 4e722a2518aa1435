package ext4

import (
	"encoding/binary"
)

// superSize is the size of a superblock in bytes; superOffset is the offset of the first one, whatever the block size.
const (
	superSize   = 1024
	superOffset = 1024
)

// A superblock is what the kernel's "Super Block" describes, field by field (struct ext4_super_block). Runs of fields that are always zero
// here are joined to one.
type superblock struct {
	InodesCount, BlocksCountLo, RootBlocksLo, FreeBlocksLo, FreeInodes uint32
	FirstDataBlock, LogBlockSize, LogClusterSize                       uint32
	BlocksPerGroup, ClustersPerGroup, InodesPerGroup                   uint32
	MountTime, WriteTime                                               uint32
	MountCount, MaxMountCount, Magic, State, Errors, MinorRevision     uint16
	LastCheck, CheckInterval, CreatorOS, Revision                      uint32
	DefaultUID, DefaultGID                                             uint16
	FirstInode                                                         uint32
	InodeSize, BlockGroup                                              uint16
	Compat, Incompat, ROCompat                                         uint32
	UUID                                                               [16]byte
	Label                                                              [16]byte
	LastMounted                                                        [64]byte
	AlgorithmBitmap                                                    uint32
	PreallocBlocks, PreallocDirBlocks                                  uint8
	ReservedDescBlocks                                                 uint16
	JournalUUID                                                        [16]byte
	JournalInode, JournalDevice, LastOrphan                            uint32
	HashSeed                                                           [16]byte
	HashVersion, JournalBackupType                                     uint8
	DescSize                                                           uint16
	MountOptions, FirstMetaGroup, MakeTime                             uint32
	JournalBackup                                                      [17]uint32
	BlocksCountHi, RootBlocksHi, FreeBlocksHi                          uint32
	MinExtraIsize, WantExtraIsize                                      uint16
	Flags                                                              uint32
	RAIDStride, MMPInterval                                            uint16
	MMPBlock                                                           uint64
	RAIDStripe                                                         uint32
	LogGroupsPerFlex, ChecksumType, EncryptionLevel, ReservedPad       uint8
	KilobytesWritten                                                   uint64
	SnapshotsAndErrors                                                 [0x200 - 0x180]byte
	MountOptionText                                                    [64]byte
	UserQuota, GroupQuota                                              uint32
	OverheadBlocks                                                     uint32
	Zeros                                                              [0x3fc - 0x24c]byte
	Checksum                                                           uint32
}

// Values in a superblock.
const (
	superMagic       = 0xef53
	stateClean       = 1
	errorsContinue   = 1
	dynamicRevision  = 1
	signedHash       = 1    // in Flags: names are hashed as signed characters
	mountOptions     = 0x0c // user_xattr and acl
	checksumCRC32C   = 1    // in ChecksumType
	backupInodeBlock = 1    // in JournalBackupType: the journal inode's block map is in JournalBackup
	neverCheck       = 1<<16 - 1
)

// super is the copy of the superblock in a group. Like those of mke2fs, only the first is marked as clean.
func (p *Plan) super(group int64) *superblock {
	g := p.g
	words := p.features.words()
	root := p.options.Reserved / p.blockSize
	free := p.freeBlocks()
	s := &superblock{
		InodesCount: uint32(g.groups * g.inodesPerGroup), FreeInodes: uint32(g.groups*g.inodesPerGroup - p.inodes()),
		BlocksCountLo: uint32(g.blocks), BlocksCountHi: uint32(g.blocks >> 32),
		RootBlocksLo: uint32(root), RootBlocksHi: uint32(root >> 32),
		FreeBlocksLo: uint32(free), FreeBlocksHi: uint32(free >> 32),
		FirstDataBlock: uint32(g.firstBlock()), LogBlockSize: logBlockSize(p.blockSize), LogClusterSize: logBlockSize(p.blockSize),
		BlocksPerGroup: uint32(g.perGroup), ClustersPerGroup: uint32(g.perGroup), InodesPerGroup: uint32(g.inodesPerGroup),
		WriteTime: uint32(p.options.Epoch), LastCheck: uint32(p.options.Epoch), MakeTime: uint32(p.options.Epoch),
		MaxMountCount: neverCheck, Magic: superMagic, Errors: errorsContinue, Revision: dynamicRevision,
		FirstInode: lostFoundInode, InodeSize: inodeSize, BlockGroup: uint16(group),
		Compat: words[0], Incompat: words[1], ROCompat: words[2],
		UUID: p.options.UUID, ReservedDescBlocks: uint16(g.reservedDesc),
		HashSeed: p.options.HashSeed, HashVersion: hashHalfMD4, Flags: signedHash, MountOptions: mountOptions,
		OverheadBlocks: uint32(p.overhead()),
	}
	copy(s.Label[:], p.options.Label)
	if group == 0 {
		s.State = stateClean
	}
	p.setOptional(s)
	return s
}

// setOptional sets the fields that belong to optional features.
func (p *Plan) setOptional(s *superblock) {
	if p.g.journal > 0 {
		s.JournalInode, s.JournalBackupType, s.JournalBackup = journalInode, backupInodeBlock, p.journalBackup()
	}
	if p.features.has(bit64) {
		s.DescSize = uint16(p.descSize())
	}
	if p.features.has(flexBG) {
		s.LogGroupsPerFlex = logFlexGroups
	}
	if p.features.has(extraIsize) {
		s.MinExtraIsize, s.WantExtraIsize = extraFields, extraFields
	}
	if p.features.has(metadataCsum) {
		s.ChecksumType = checksumCRC32C
	}
}

// encode writes the superblock into superSize bytes.
func (s *superblock) encode(b []byte) {
	if _, err := binary.Encode(b, le, s); err != nil {
		panic(err) // only a struct without a fixed size fails
	}
	if s.ChecksumType == checksumCRC32C {
		le.PutUint32(b[superSize-4:], uint32(checksumStart.over(b[:superSize-4])))
	}
}

// logBlockSize is the block size as the superblock has it: the number of times that 1024 is doubled.
func logBlockSize(size int64) (log uint32) {
	for size > 1024<<log {
		log++
	}
	return log
}

// overhead is how many blocks the file system itself takes, including the journal: statfs subtracts them from the total.
func (p *Plan) overhead() int64 {
	return p.g.blocks - p.g.tape.blocks() + p.g.journal
}

// putSuperBlock writes the block that a copy of the superblock lies in.
func (p *Plan) putSuperBlock(b []byte, group int64) {
	if group == 0 && p.blockSize > superOffset {
		b = b[superOffset:]
	}
	p.super(group).encode(b[:superSize])
}

// superCopyBlocks is how many blocks of a copy of the superblock, with descriptors and reserved descriptors, are not all zeros: the resize
// inode uses the reserved descriptors of the first copy only.
func (p *Plan) superCopyBlocks(group int64) int64 {
	if group == 0 {
		return p.g.superBlocks()
	}
	return 1 + p.g.descBlocks
}

// putSuperCopy writes block i of a copy of the superblock: superblock, descriptors, reserved descriptors.
func (p *Plan) putSuperCopy(b []byte, group, i int64) {
	switch {
	case i == 0:
		p.putSuperBlock(b, group)
	case i <= p.g.descBlocks:
		perBlock := p.blockSize / p.descSize()
		first := (i - 1) * perBlock
		for n := first; n < min(first+perBlock, p.g.groups); n++ {
			p.putDescriptor(b[(n-first)*p.descSize():][:p.descSize()], n)
		}
	default:
		p.putReservedDesc(b, i)
	}
}

// freeBlocks is how many blocks of the whole file system are free.
func (p *Plan) freeBlocks() int64 { return p.g.tape.blocks() - p.sections.end }
