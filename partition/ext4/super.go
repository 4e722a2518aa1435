package ext4

import (
	"encoding/binary"
)

// superSize is the size of a superblock in bytes; superOffset is the offset of the first one, whatever the block size.
const (
	superSize   = 1024
	superOffset = 1024
)

// A superblock has the fields of struct ext4_super_block in their order (kernel: "Super Block"). superNames has their names there.
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
	SnapshotInode, SnapshotID                                          uint32
	SnapshotReserved                                                   uint64
	SnapshotList, ErrorCount                                           uint32
	FirstErrorTime, FirstErrorInode                                    uint32
	FirstErrorBlock                                                    uint64
	FirstErrorFunc                                                     [32]byte
	FirstErrorLine                                                     uint32
	LastErrorTime, LastErrorInode, LastErrorLine                       uint32
	LastErrorBlock                                                     uint64
	LastErrorFunc                                                      [32]byte
	MountOptionText                                                    [64]byte
	UserQuota, GroupQuota, OverheadBlocks                              uint32
	BackupGroups                                                       [2]uint32
	EncryptAlgorithms                                                  [4]byte
	EncryptSalt                                                        [16]byte
	LostFoundInode, ProjectQuota, ChecksumSeed                         uint32
	WriteTimeHi, MountTimeHi, MakeTimeHi, LastCheckHi                  uint8
	FirstErrorTimeHi, LastErrorTimeHi, FirstErrorCode, LastErrorCode   uint8
	Encoding, EncodingFlags                                            uint16
	OrphanFile                                                         uint32
	Reserved                                                           [0x3fc - 0x284]byte
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
	stateErrors      = 2
	unsignedHash     = 2 // in Flags: names are hashed as unsigned characters
)

// super returns the copy of the superblock in a group. Like those of mke2fs, only the first is marked as clean.
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

// superNames are the fields in their order, without the prefix s_.
const superNames = `inodes_count blocks_count_lo r_blocks_count_lo free_blocks_count_lo free_inodes_count first_data_block log_block_size
log_cluster_size blocks_per_group clusters_per_group inodes_per_group mtime wtime mnt_count max_mnt_count magic state errors minor_rev_level
lastcheck checkinterval creator_os rev_level def_resuid def_resgid first_ino inode_size block_group_nr feature_compat feature_incompat
feature_ro_compat uuid volume_name last_mounted algorithm_usage_bitmap prealloc_blocks prealloc_dir_blocks reserved_gdt_blocks
journal_uuid journal_inum journal_dev last_orphan hash_seed def_hash_version jnl_backup_type desc_size default_mount_opts first_meta_bg
mkfs_time jnl_blocks blocks_count_hi r_blocks_count_hi free_blocks_count_hi min_extra_isize want_extra_isize flags raid_stride
mmp_interval mmp_block raid_stripe_width log_groups_per_flex checksum_type encryption_level reserved_pad kbytes_written snapshot_inum
snapshot_id snapshot_r_blocks_count snapshot_list error_count first_error_time first_error_ino first_error_block first_error_func
first_error_line last_error_time last_error_ino last_error_line last_error_block last_error_func mount_opts usr_quota_inum grp_quota_inum
overhead_clusters backup_bgs encrypt_algos encrypt_pw_salt lpf_ino prj_quota_inum checksum_seed wtime_hi mtime_hi mkfs_time_hi
lastcheck_hi first_error_time_hi last_error_time_hi first_error_errcode last_error_errcode encoding encoding_flags orphan_file_inum
reserved checksum`

// decode reads the superblock from superSize bytes.
func (s *superblock) decode(b []byte) {
	if _, err := binary.Decode(b[:superSize], le, s); err != nil {
		panic(err) // only a struct without a fixed size fails
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

// logBlockSize returns the block size as the superblock has it: the number of times that 1024 is doubled.
func logBlockSize(size int64) (log uint32) {
	for size > 1024<<log {
		log++
	}
	return log
}

// overhead returns the number of blocks that the file system itself takes, including the journal: statfs subtracts them from the total.
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

// superCopyBlocks returns the number of blocks of a copy of the superblock, with descriptors and reserved descriptors, up to the last that is
// not all zeros: the resize inode writes to the reserved descriptors of the first copy only.
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

// freeBlocks returns the number of free blocks of the file system.
func (p *Plan) freeBlocks() int64 { return p.g.tape.blocks() - p.inUse() }
