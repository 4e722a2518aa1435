package ext4

import (
	"encoding/binary"

	"imprint/internal/tree"
)

// Fields of the journal's superblock after [journalSuper], and features (kernel: "Journal (jbd2)", "Super Block").
const (
	journalSumType   = 0x50
	journalPadding   = 0x5c
	journalSumAt     = 0xfc
	journalUsers     = 0x100
	journalSize      = 1024
	journalSuperV1   = 3
	journalFeatures  = 0x3f // incompatible ones that are known
	journalSums      = 0x18 // versions 2 and 3 of checksums
	journalFastFirst = 0x54
)

// checkJournal checks the journal's inode, the superblock's copy of it, and the journal's superblock.
func (c *inodeCheck) checkJournal() {
	if kind, ok := c.kind(); !ok || kind != tree.File || c.LinksCount != 1 {
		c.fault("mode %#o and %d links, those of a file are expected", c.Mode, c.LinksCount)
	}
	c.checkFields(tree.File)
	c.checkMap(tree.File)
	c.checkSectors()
	c.checkJournalBackup()
	m := &fileMap{fs: &c.frame, root: c.Block, extents: c.Flags&extentsFlag != 0, read: c.readBlock}
	run, err := m.locate(0)
	if err != nil || run.physical == hole || c.end*c.blockSize != c.size() {
		c.fault("journal of %d bytes in %d blocks (%v)", c.size(), c.end, err)
		return
	}
	at := run.physical * c.blockSize
	if b := c.checker.read(at, journalSize, func() string { return "journal superblock" }); b != nil {
		c.checkJournalSuper(at, b)
	}
}

// checkJournalBackup compares the superblock's copy of the journal's block map and size with the inode's. e2fsck finds the journal by the copy
// when the inode table is damaged.
func (c *inodeCheck) checkJournalBackup() {
	s := &c.super
	if s.JournalBackupType == 0 {
		return
	}
	if s.JournalBackupType != backupInodeBlock {
		c.checker.fault(superOffset, "superblock", "s_jnl_backup_type %d is not known", s.JournalBackupType)
	}
	same := s.JournalBackup[15] == c.SizeHigh && s.JournalBackup[16] == c.SizeLo
	for i, word := range s.JournalBackup[:15] {
		same = same && word == le.Uint32(c.Block[4*i:])
	}
	if !same {
		c.checker.fault(superOffset, "superblock", "s_jnl_blocks is not the block map of the journal's inode")
	}
}

// checkJournalSuper checks the journal's superblock. Version 1 ends before the features, so that only its type is checked.
func (c *inodeCheck) checkJournalSuper(at int64, b []byte) {
	var s journalSuper
	if _, err := binary.Decode(b, binary.BigEndian, &s); err != nil {
		panic(err) // only a struct without a fixed size fails
	}
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			c.checker.fault(at, "journal superblock", format, args...)
		}
	}
	bad(s.Magic == journalMagic, "magic number 0x%08x, 0x%08x is expected", s.Magic, uint32(journalMagic))
	bad(s.BlockType == journalSuperV1 || s.BlockType == journalSuperV2, "block type %d", s.BlockType)
	if s.Magic != journalMagic || s.BlockType != journalSuperV2 {
		return
	}
	recovery := c.features.has(needsRecovery)
	bad(int64(s.BlockSize) == c.blockSize, "blocks of %d bytes, %d are expected", s.BlockSize, c.blockSize)
	bad(int64(s.Blocks) == c.end, "%d blocks, the journal has %d", s.Blocks, c.end)
	bad(s.First == 1, "the first block of the log is %d, 1 is expected", s.First)
	bad(s.Start == 0 || recovery, "the log begins at block %d, and the file system needs no recovery", s.Start)
	bad(s.Error == 0, "error %d is recorded", int32(s.Error))
	bad(s.Incompat&^journalFeatures == 0 && s.Compat&^1 == 0 && s.ROCompat == 0, "features 0x%x 0x%x 0x%x are not known", s.Compat, s.Incompat, s.ROCompat)
	bad(s.HeaderSequence == 0 && s.DynamicSuper|s.MaxTransaction|s.MaxIO == 0 && s.Users <= 1, "reserved fields are not zero")
	bad(s.UUID == c.super.UUID || zeroBytes(s.UUID[:]), "UUID %x is not that of the file system", s.UUID)
	bad(s.Incompat&journalSums != 0 || zeroBytes(b[journalSumType:journalFastFirst]) && zeroBytes(b[journalSumAt:journalUsers]), "a checksum without the feature")
	bad(zeroBytes(b[journalPadding:journalSumAt]) && zeroBytes(b[journalUsers:]), "padding or the list of other users is not zero")
	if s.Incompat&journalSums != 0 {
		sum := uint32(checksumStart.over(b[:journalSumAt]).over(make([]byte, 4)).over(b[journalSumAt+4:]))
		has := binary.BigEndian.Uint32(b[journalSumAt:])
		bad(has == sum, "checksum 0x%08x does not match its bytes, which have 0x%08x", has, sum)
	}
}

// Orphan files (kernel: "Orphan file"): blocks full of inode numbers, each ended by a magic number and a checksum.
const (
	orphanMagic = 0x0b10ca04
	orphanTail  = 8
)

// checkOrphanList collects the inodes that were deleted while they were open: a list from the superblock on, linked through i_dtime, and
// those in the orphan file.
func (c *checker) checkOrphanList() {
	next := c.super.LastOrphan
	if next != 0 && !c.features.has(needsRecovery) {
		c.fault(superOffset, "superblock", "the list of orphans is not empty: it begins with inode %d", next)
	}
	for next != 0 && !c.orphans[next] {
		n, _, err := c.inode(c.w, next)
		if err != nil || int64(next) < c.firstFree {
			c.fault(superOffset, "list of orphans", "inode %d is not in the file system", next)
			break
		}
		c.orphans[next], next = true, n.Dtime
	}
	if c.features.has(orphanFile) {
		c.checkOrphanFile(c.super.OrphanFile)
	}
}

// checkOrphanFile checks the blocks of the orphan file.
func (c *checker) checkOrphanFile(number uint32) {
	n, _, err := c.inode(c.w, number)
	if kind, ok := n.kind(); err != nil || !ok || kind != tree.File || n.LinksCount == 0 {
		c.inodeFault(number, -1, "is not the orphan file that the superblock says it is (%v)", err)
		return
	}
	m := &fileMap{fs: &c.frame, root: n.Block, extents: n.Flags&extentsFlag != 0, read: c.readBlock}
	for i := range min(c.blocksOf(n.size()), c.blocks) {
		run, err := m.locate(i)
		if err != nil || run.physical == hole {
			c.inodeFault(number, -1, "orphan file has no block %d (%v)", i, err)
			return
		}
		b, err := c.readBlock(run.physical)
		if err != nil {
			c.inodeFault(number, -1, "orphan file: %v", err)
			return
		}
		c.checkOrphanBlock(number, run.physical, b, c.inodeSum(number, &n))
	}
}

// checkOrphanBlock checks a block of the orphan file. Its checksum also covers the block's number on the disk, so that a block in the wrong
// place does not pass.
func (c *checker) checkOrphanBlock(number uint32, block int64, b []byte, sum checksum) {
	tail := int64(len(b)) - orphanTail
	at := block * c.blockSize
	if magic := le.Uint32(b[tail:]); magic != orphanMagic {
		c.inodeFault(number, at, "orphan file block: magic number 0x%08x, 0x%08x is expected", magic, orphanMagic)
	}
	want := uint32(sum.over(le.AppendUint64(nil, uint64(block))).over(b[:tail]))
	if has := le.Uint32(b[tail+4:]); c.features.has(metadataCsum) && has != want {
		c.inodeFault(number, at, "orphan file block: checksum 0x%08x does not match its bytes, which have 0x%08x", has, want)
	}
	for i := int64(0); i < tail; i += 4 {
		orphan := le.Uint32(b[i:])
		if orphan == 0 {
			continue
		}
		c.orphans[orphan] = true
		if !c.features.has(needsRecovery) {
			c.inodeFault(number, at+i, "orphan file lists inode %d", orphan)
		}
	}
}
