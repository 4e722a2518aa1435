package ext4

import (
	"fmt"

	"imprint/internal/units"
)

// inodeRatio is the number of bytes of free space per additional inode, the default of mke2fs.
const inodeRatio = 16384

// A sizer finds the geometry for a tree. The same planner computes the size and lays out the file system, so the two cannot disagree.
type sizer struct {
	*inventory
	Options
}

// defaultJournal returns the size in blocks of the journal that mke2fs makes in a file system of the given number of blocks
// (ext2fs_default_journal_size); 0 is no journal.
func defaultJournal(blocks int64) int64 {
	for _, tier := range []struct{ below, journal int64 }{
		{2048, 0}, {32 << 10, 1024}, {256 << 10, 4096}, {512 << 10, 8192}, {4 << 20, 16384}, {8 << 20, 32768}, {16 << 20, 65536}, {32 << 20, 131072},
	} {
		if blocks < tier.below {
			return tier.journal
		}
	}
	return 262144
}

// journalFor returns the size of the journal in blocks for a file system of the given number of blocks.
func (s *sizer) journalFor(blocks int64) int64 {
	switch {
	case !s.features.has(hasJournal):
		return 0
	case s.JournalSize != 0:
		return s.JournalSize / s.blockSize
	}
	return defaultJournal(blocks)
}

// neededInodes returns the least number of inodes, whatever the size.
func (s *sizer) neededInodes() int64 { return s.inodes() + s.FreeInodes + s.SpareInodes }

// inodesFor returns the least number of inodes for a file system of the given number of blocks.
func (s *sizer) inodesFor(blocks int64) int64 {
	n := s.neededInodes()
	if s.BytesPerInode > 0 {
		n = max(n, blocks*s.blockSize/s.BytesPerInode)
	}
	return n
}

// request returns a request for blocks and inodes, with the journal and growth of a file system of that size.
func (s *sizer) request(blocks, inodes int64) request {
	return request{blocks: blocks, inodes: inodes, journal: s.journalFor(blocks), growth: blocks * 1024}
}

// try lays out the frame and returns the number of blocks that it lacks for the content and the free space; 0 or less if they fit.
func (s *sizer) try(r request) (g *geometry, short int64) {
	g = newGeometry(s.format, r)
	need := s.allocate(g, false).end + units.Blocks(s.Free+s.Spare, s.blockSize)
	if missing := g.missing(); missing > 0 {
		return g, max(missing, need-g.tape.blocks())
	}
	return g, need - g.tape.blocks()
}

// tooSmall returns the error for a size, with the number of blocks that would be enough.
func (s *sizer) tooSmall(needed, given int64) error {
	return &TooSmallError{Needed: needed * s.blockSize, Given: given, Inodes: s.neededInodes()}
}

// minimum finds the smallest geometry: it starts with too few blocks, and adds the missing ones until none are. A larger file system rarely
// has less overhead than a smaller one, so the last step seldom goes too far; if it did, bisect goes back.
func (s *sizer) minimum() (*geometry, error) {
	before, limit := int64(0), s.maxBlocks()
	blocks := s.fileBlocks + units.Blocks(s.Free+s.Spare, s.blockSize) + units.Blocks(s.neededInodes(), s.inodesPerBlock()) + 1
	for blocks <= limit {
		g, short := s.tryDefault(blocks)
		if short <= 0 {
			return s.bisect(before, g), nil
		}
		before, blocks = blocks, blocks+short
	}
	return nil, s.tooSmall(blocks, limit*s.blockSize)
}

// tryDefault is try with the default inodes and journal for a number of blocks.
func (s *sizer) tryDefault(blocks int64) (g *geometry, short int64) {
	return s.try(s.request(blocks, s.inodesFor(blocks)))
}

// bisect returns a geometry that is large enough, while one block less is not, given a number of blocks that is too few.
func (s *sizer) bisect(tooFew int64, enough *geometry) *geometry {
	for middle := enough.blocks - 1; middle > tooFew; middle = (tooFew + enough.blocks) / 2 {
		if g, short := s.tryDefault(middle); short <= 0 {
			enough = g
		} else {
			tooFew = middle
		}
	}
	return enough
}

// layOut returns the geometry for the options.
func (s *sizer) layOut() (*geometry, error) {
	least, err := s.minimum()
	if err != nil {
		return nil, err
	}
	atLeast := max(least.blocks, units.Blocks(s.MinSize, s.blockSize))
	blocks := atLeast
	if s.Size != 0 {
		blocks = s.Size / s.blockSize
	}
	switch limit := s.maxBlocks(); {
	case blocks < least.blocks:
		return nil, s.tooSmall(least.blocks, s.Size)
	case blocks > limit:
		return nil, fmt.Errorf("lay out ext4: %d blocks of %d bytes, %d are the limit", blocks, s.blockSize, limit)
	case blocks == least.blocks:
		return least, nil
	}
	g := s.enlarge(least, blocks)
	for s.Size == 0 && g.blocks < atLeast { // the last group was dropped
		blocks += spareInLast
		g = s.enlarge(least, blocks)
	}
	return g, nil
}

// enlarge returns a geometry with more blocks than the least one, with the default journal of its size, and inodes for the additional space.
// Just above a size where the default journal grows there may be no room for it; then journal and inodes stay those of the least geometry, so
// that a tree that fits into a size fits into every larger one.
func (s *sizer) enlarge(least *geometry, blocks int64) *geometry {
	inodes := s.inodesFor(blocks)
	if s.BytesPerInode == 0 {
		inodes += (blocks - least.blocks) * s.blockSize / inodeRatio
	}
	same := least.request
	same.blocks = blocks
	for _, r := range []request{s.request(blocks, inodes), same} {
		if g, short := s.try(s.wholeGroups(r)); short <= 0 {
			return g
		}
	}
	return least
}

// wholeGroups drops a last group that is too small to be worth having.
func (s *sizer) wholeGroups(r request) request {
	g := newGeometry(s.format, r)
	if has, must := g.lastGroup(); has > 0 && has < must && g.groups > 1 {
		r.blocks -= has
	}
	return r
}
