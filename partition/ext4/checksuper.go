package ext4

import (
	"fmt"
	"math"
	"reflect"
	"strings"
)

// checkSuper checks the fields of the first superblock that [Open] does not need.
func (c *checker) checkSuper() {
	s, object := &c.super, "superblock"
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			c.fault(superOffset, object, format, args...)
		}
	}
	if b := c.read(superOffset, superSize, func() string { return object }); b != nil && c.features.has(metadataCsum) {
		sum := uint32(checksumStart.over(b[:superSize-4]))
		bad(sum == s.Checksum, "checksum 0x%08x does not match its bytes, which have 0x%08x", s.Checksum, sum)
	}
	has := c.features.has
	for word, name := range [...]string{"compatible", "incompatible", "read-only compatible"} {
		bad(c.unknown[word] == 0, "%s features 0x%x are not known", name, c.unknown[word])
	}
	bad(!has(needsRecovery) || has(hasJournal), "needs_recovery without a journal")
	bad(!has(needsRecovery), "the journal holds changes that must be recovered")
	bad(!has(metadataCsum) || !has(uninitBG), "metadata_csum and uninit_bg exclude each other")
	bad(!has(resizeInode) || !has(metaBG), "resize_inode and meta_bg exclude each other")
	bad(has(needsRecovery) || s.State&^4 == stateClean, "state 0x%x is not clean", s.State)
	bad(!has(metadataCsum) || s.ChecksumType == checksumCRC32C, "checksum type %d is not known", s.ChecksumType)
	bad(s.BlockGroup == 0, "block group %d, 0 is expected", s.BlockGroup)
	bad(s.ReservedPad == 0 && s.Reserved == [len(s.Reserved)]byte{}, "reserved bytes are not zero")
	bad(s.HashVersion <= 6, "hash version %d is not known", s.HashVersion)
	bad(s.Flags&3 != 3, "names are hashed both as signed and as unsigned characters")
	bad(s.CreatorOS <= 4, "creator OS %d is not known", s.CreatorOS)
	bad(s.LogGroupsPerFlex <= 31, "flex groups of 2^%d groups", s.LogGroupsPerFlex)
	bad(has(resizeInode) || has(sparseSuper2) || s.ReservedDescBlocks == 0, "%d reserved descriptor blocks without resize_inode", s.ReservedDescBlocks)
	bad(has(bigalloc) || s.LogClusterSize == s.LogBlockSize || s.Revision == 0, "cluster size 2^%d, block size 2^%d", s.LogClusterSize, s.LogBlockSize)
	bad(int64(s.ClustersPerGroup)*c.ratio == c.perGroup || s.Revision == 0, "%d clusters in a group of %d blocks", s.ClustersPerGroup, c.perGroup)
	extra := max(s.MinExtraIsize, s.WantExtraIsize)
	bad(int64(extra) <= c.inodeBytes-oldInode, "extra fields of %d bytes in inodes of %d", extra, c.inodeBytes)
	bad(has(bit64) || s.DescSize == 0 || s.DescSize == 32, "group descriptors of %d bytes without 64bit", s.DescSize)
	root := int64(s.RootBlocksLo)
	if has(bit64) {
		root += int64(s.RootBlocksHi) << 32
	} else {
		bad(s.BlocksCountHi|s.RootBlocksHi|s.FreeBlocksHi == 0, "upper halves of block counts without 64bit")
	}
	bad(root <= c.blocks/2, "%d blocks are reserved for root, of %d", root, c.blocks)
	c.checkJournalFields(bad)
	if c.first > 0 && c.take != nil {
		c.take(claim{0, c.first, bootClaim, 0, 0})
	}
}

// checkJournalFields checks the place of the journal: an inode, or another device, named by its UUID.
func (c *checker) checkJournalFields(bad func(ok bool, format string, args ...any)) {
	s := &c.super
	elsewhere := s.JournalUUID != [16]byte{}
	switch {
	case !c.features.has(hasJournal):
		bad(s.JournalInode == 0 && !elsewhere, "journal in inode %d, UUID %x, without has_journal", s.JournalInode, s.JournalUUID)
	case elsewhere:
		bad(s.JournalInode == 0, "journal both in inode %d and on a device with UUID %x", s.JournalInode, s.JournalUUID)
	default:
		bad(s.JournalInode == journalInode, "journal in inode %d, %d is expected", s.JournalInode, journalInode)
	}
}

// pristine reports whether a file system has not changed since it was made. Only then must the copies of the superblock and the descriptors
// have the same counts: the kernel and e2fsck do not update those. Copies that have a checksum are exempt, since e2fsck may have run in the
// second in which the file system was made.
func (s *superblock) pristine() bool {
	return s.MountTime == 0 && s.MountCount == 0 && s.LastCheck == s.MakeTime
}

// fixed clears the fields in which copies of a superblock may differ from the first one; in a pristine file system they are few.
func (s superblock) fixed(pristine bool) superblock {
	s.BlockGroup, s.State, s.Checksum, s.WriteTime, s.WriteTimeHi, s.KilobytesWritten = 0, 0, 0, 0, 0, 0
	if pristine {
		return s
	}
	s.MountTime, s.MountTimeHi, s.MountCount, s.MaxMountCount, s.LastCheck, s.LastCheckHi, s.LastMounted = 0, 0, 0, 0, 0, 0, [64]byte{}
	s.FreeBlocksLo, s.FreeBlocksHi, s.FreeInodes, s.LastOrphan, s.OverheadBlocks, s.CheckInterval = 0, 0, 0, 0, 0, 0
	s.RootBlocksLo, s.RootBlocksHi = 0, 0
	s.Compat &^= featureTable[extAttr].bit
	s.Incompat &^= featureTable[needsRecovery].bit
	s.ROCompat &^= featureTable[largeFile].bit | featureTable[orphanPresent].bit
	s.ErrorCount, s.FirstErrorTime, s.FirstErrorInode, s.FirstErrorBlock, s.FirstErrorFunc, s.FirstErrorLine = 0, 0, 0, 0, [32]byte{}, 0
	s.LastErrorTime, s.LastErrorInode, s.LastErrorLine, s.LastErrorBlock, s.LastErrorFunc = 0, 0, 0, 0, [32]byte{}
	s.FirstErrorTimeHi, s.LastErrorTimeHi, s.FirstErrorCode, s.LastErrorCode = 0, 0, 0, 0
	s.MountOptions, s.MountOptionText, s.LostFoundInode, s.MMPInterval, s.JournalBackup = 0, [64]byte{}, 0, 0, [17]uint32{}
	return s
}

// checkSuperCopies compares the copies of the superblock with the first one.
func (c *checker) checkSuperCopies() {
	pristine := c.super.pristine() && !c.features.has(metadataCsum)
	want := c.super.fixed(pristine)
	for group := range c.copies() {
		at, object := c.superAt(group), func() string { return fmt.Sprintf("superblock copy of group %d", group) }
		b := c.read(at, superSize, object)
		if b == nil {
			continue
		}
		var s superblock
		s.decode(b)
		if s.Magic != superMagic {
			c.mismatch(at, object(), "magic number", s.Magic, superMagic)
			continue
		}
		if sum := uint32(checksumStart.over(b[:superSize-4])); c.features.has(metadataCsum) && sum != s.Checksum {
			c.fault(at, object(), "checksum 0x%08x does not match its bytes, which have 0x%08x", s.Checksum, sum)
		}
		if int64(s.BlockGroup) != group&math.MaxUint16 {
			c.mismatch(at, object(), "s_block_group_nr", s.BlockGroup, group)
		}
		if got := s.fixed(pristine); got != want {
			c.compareFields(at, object(), superNames, "s_", reflect.ValueOf(got), reflect.ValueOf(want))
		}
	}
}

// compareFields reports the fields in which a copy differs from the first of two structures.
func (c *checker) compareFields(at int64, object, names, prefix string, got, want reflect.Value) {
	for i, name := range strings.Fields(names) {
		if g, w := got.Field(i), want.Field(i); !g.Equal(w) {
			c.fault(at, object, "%s%s is %x, the first copy has %x", prefix, name, g, w)
		}
	}
}

// checkCounts compares the superblock's counts with what was found.
func (c *checker) checkCounts() {
	if said, want := c.freeBlocksSaid(), c.freeClusters*c.ratio; said != want {
		c.mismatch(superOffset, "superblock", "s_free_blocks_count", said, want)
	}
	if int64(c.super.FreeInodes) != c.freeInodes {
		c.mismatch(superOffset, "superblock", "s_free_inodes_count", c.super.FreeInodes, c.freeInodes)
	}
}

// Multiple mount protection (kernel: "Multiple Mount Protection"): a block with a magic number at its front and a checksum at byte 1020.
const (
	mmpMagic   = 0x004d4d50
	mmpSum     = 0x3fc
	mmpClean   = 0xff4d4d50
	mmpSeqAt   = 4 // a number that a host changes every few seconds while it has the file system mounted
	mmpMinimum = 1024
)

// checkMMP checks the block of multiple mount protection.
func (c *checker) checkMMP() {
	if !c.features.has(mmp) || c.super.MMPBlock == 0 {
		return
	}
	at, object := int64(c.super.MMPBlock)*c.blockSize, "MMP block"
	claimed := c.claim(claim{int64(c.super.MMPBlock), 1, mmpClaim, 0, 0}, func(format string, args ...any) { c.fault(superOffset, object, format, args...) })
	if !claimed {
		return
	}
	b := c.read(at, mmpMinimum, func() string { return object })
	if b == nil {
		return
	}
	if magic := le.Uint32(b); magic != mmpMagic {
		c.fault(at, object, "magic number 0x%08x, 0x%08x is expected", magic, mmpMagic)
	}
	if seq := le.Uint32(b[mmpSeqAt:]); seq != mmpClean {
		c.fault(at, object, "sequence 0x%08x: the file system is in use", seq)
	}
	if has, want := le.Uint32(b[mmpSum:]), uint32(c.seed.over(b[:mmpSum])); c.features.has(metadataCsum) && has != want {
		c.fault(at, object, "checksum 0x%08x does not match its bytes, which have 0x%08x", has, want)
	}
}
