package ext4

import (
	"fmt"
	"strings"
)

// A frame is the geometry of a file system that is read, from its superblock, which decides the place and form of every other structure.
type frame struct {
	format
	super          superblock
	unknown        [3]uint32 // bits of the feature words that have no name here
	inodeBytes     int64     // 128 or more
	descBytes      int64     // of a group descriptor: 32 or more
	blocks         int64
	first          int64 // the first block of the first group
	perGroup       int64 // blocks in a group
	ratio          int64 // blocks in a cluster, the unit of block bitmaps: 1 without bigalloc
	groups         int64
	inodesPerGroup int64
	firstFree      int64    // the first inode that is not reserved
	seed           checksum // of all checksums but that of the superblock
	hasher         hasher
}

// size returns the length of the file system in bytes.
func (f *frame) size() int64 { return f.blocks * f.blockSize }

// inodes returns the number of inodes.
func (f *frame) inodes() int64 { return f.groups * f.inodesPerGroup }

func (f *frame) groupStart(group int64) int64 { return f.first + group*f.perGroup }

func (f *frame) groupBlocks(group int64) int64 { return min(f.perGroup, f.blocks-f.groupStart(group)) }

func (f *frame) tableBlocks() int64 {
	return (f.inodesPerGroup*f.inodeBytes + f.blockSize - 1) / f.blockSize
}

// unreadable are the incompatible features without which nothing can be read.
const unreadable = featureSet(1<<compression | 1<<journalDevice | 1<<dirData)

// newFrame decodes the geometry in the superblock b, and checks that it is possible in a region of size bytes.
func newFrame(b []byte, size int64) (*frame, error) {
	f := &frame{}
	s := &f.super
	s.decode(b)
	if s.Magic != superMagic {
		return nil, fmt.Errorf("no superblock: magic number 0x%04x, not 0x%04x", s.Magic, superMagic)
	}
	if s.Revision > 0 {
		f.features, f.unknown = featuresOf([3]uint32{s.Compat, s.Incompat, s.ROCompat})
	}
	if sum := uint32(checksumStart.over(b[:superSize-4])); f.features.has(metadataCsum) && sum != s.Checksum {
		return nil, fmt.Errorf("checksum 0x%08x of the superblock does not match its bytes, which have 0x%08x", s.Checksum, sum)
	}
	if err := f.supported(); err != nil {
		return nil, err
	}
	if err := f.sizes(); err != nil {
		return nil, err
	}
	if f.size() > size {
		return nil, fmt.Errorf("%d blocks of %d bytes are more than the region's %d bytes", f.blocks, f.blockSize, size)
	}
	f.seed = checksumStart.over(s.UUID[:])
	if f.features.has(csumSeed) {
		f.seed = checksum(s.ChecksumSeed)
	}
	f.hasher = newHasher(s.HashSeed)
	return f, nil
}

// supported returns an error that names the features that cannot be read.
func (f *frame) supported() error {
	if refused := f.features & unreadable; refused != 0 {
		return fmt.Errorf("feature %s is not supported", strings.Join(refused.names(), ", "))
	}
	if f.unknown[1] != 0 {
		return fmt.Errorf("incompatible features 0x%x are not known", f.unknown[1])
	}
	if f.super.Revision > dynamicRevision {
		return fmt.Errorf("revision %d is not known", f.super.Revision)
	}
	return nil
}

// sizes computes the geometry. Each check keeps the arithmetic after it within range.
func (f *frame) sizes() error {
	s := &f.super
	if s.LogBlockSize > 6 {
		return fmt.Errorf("blocks of 2^%d bytes, 2^16 are the limit", 10+int64(s.LogBlockSize))
	}
	f.blockSize, f.ratio, f.first = 1024<<s.LogBlockSize, 1, int64(s.FirstDataBlock)
	if f.features.has(bigalloc) {
		if s.LogClusterSize < s.LogBlockSize || s.LogClusterSize > 20 {
			return fmt.Errorf("clusters of 2^%d bytes for blocks of %d", 10+int64(s.LogClusterSize), f.blockSize)
		}
		f.ratio = 1 << (s.LogClusterSize - s.LogBlockSize)
	}
	f.inodeBytes, f.firstFree, f.descBytes = oldInode, lostFoundInode, 32
	if s.Revision > 0 {
		f.inodeBytes, f.firstFree = int64(s.InodeSize), int64(s.FirstInode)
	}
	f.blocks, f.perGroup, f.inodesPerGroup = int64(s.BlocksCountLo), int64(s.BlocksPerGroup), int64(s.InodesPerGroup)
	if f.features.has(bit64) {
		f.blocks, f.descBytes = f.blocks+int64(s.BlocksCountHi)<<32, int64(s.DescSize)
	}
	return f.checkSizes()
}

// checkSizes checks the numbers of the geometry against each other, so that no offset computed from them leaves the file system. There are at most
// 1 << 48 blocks, since extents have block numbers of 48 bits.
func (f *frame) checkSizes() error {
	s := &f.super
	wantFirst := int64(0)
	if f.blockSize == 1024 && f.ratio == 1 {
		wantFirst = 1
	}
	power := func(n, least int64) bool { return n >= least && n <= f.blockSize && n&(n-1) == 0 }
	switch {
	case !power(f.inodeBytes, oldInode):
		return fmt.Errorf("inodes of %d bytes in blocks of %d", f.inodeBytes, f.blockSize)
	case !power(f.descBytes, f.format.descSize()):
		return fmt.Errorf("group descriptors of %d bytes, a power of two of at least %d is expected", f.descBytes, f.format.descSize())
	case f.first != wantFirst:
		return fmt.Errorf("the first group starts at block %d, not %d", f.first, wantFirst)
	case f.perGroup == 0 || f.perGroup%(8*f.ratio) != 0 || f.perGroup > f.maxPerGroup()*f.ratio:
		return fmt.Errorf("%d blocks in a group, a multiple of 8 up to %d is expected", f.perGroup, f.maxPerGroup()*f.ratio)
	case f.inodesPerGroup == 0 || f.inodesPerGroup%8 != 0 || f.inodesPerGroup > f.maxPerGroup():
		return fmt.Errorf("%d inodes in a group, a multiple of 8 up to %d is expected", f.inodesPerGroup, f.maxPerGroup())
	case f.blocks <= f.first+1 || f.blocks > 1<<48:
		return fmt.Errorf("%d blocks are not within %d and %d", f.blocks, f.first+2, int64(1)<<48)
	}
	f.groups = (f.blocks - f.first + f.perGroup - 1) / f.perGroup
	switch {
	case int64(s.InodesCount) != f.inodes():
		return fmt.Errorf("%d inodes, not %d for each of %d groups", s.InodesCount, f.inodesPerGroup, f.groups)
	case f.firstFree < lostFoundInode || f.firstFree > f.inodes():
		return fmt.Errorf("the first inode that is not reserved is %d", f.firstFree)
	case f.descBlocks()+1 >= f.blocks || int64(s.FirstMetaGroup) > f.descBlocks() || int64(s.ReservedDescBlocks) > f.pointers():
		return fmt.Errorf("%d groups have %d blocks of descriptors, %d of them before the first meta block group, and %d reserved blocks",
			f.groups, f.descBlocks(), s.FirstMetaGroup, s.ReservedDescBlocks)
	}
	return nil
}
