package ext4

import (
	"fmt"

	"imprint/internal/units"
)

// inodeRatio is how many bytes of free space there are for each inode that is added for them: mke2fs's own ratio.
const inodeRatio = 16384

// A sizer finds the geometry for a content: the one planner that both says how large the file system must be and lays it out.
type sizer struct {
	*inventory
	Options
}

// defaultJournal is mke2fs's size of a journal, in blocks, for a file system of so many blocks (ext2fs_default_journal_size); 0: none.
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

func (s *sizer) journalFor(blocks int64) int64 {
	switch {
	case !s.features.has(hasJournal):
		return 0
	case s.JournalSize != 0:
		return s.JournalSize / s.blockSize
	}
	return defaultJournal(blocks)
}

// neededInodes is how many inodes there must be, whatever the size.
func (s *sizer) neededInodes() int64 { return s.inodes() + s.FreeInodes }

// inodesFor is how many a file system of so many blocks must have.
func (s *sizer) inodesFor(blocks int64) int64 {
	n := s.neededInodes()
	if s.BytesPerInode > 0 {
		n = max(n, blocks*s.blockSize/s.BytesPerInode)
	}
	return n
}

// wish is what a file system of so many blocks should be like.
func (s *sizer) request(blocks, inodes int64) request {
	return request{blocks: blocks, inodes: inodes, journal: s.journalFor(blocks), growth: blocks * 1024}
}

// try lays the frame and says how many blocks it lacks for the content and what must stay free; nothing or less when it fits.
func (s *sizer) try(w request) (g *geometry, short int64) {
	g = newGeometry(s.format, w)
	need := s.allocate(g, false).end + units.Blocks(s.Free, s.blockSize)
	if missing := g.missing(); missing > 0 {
		return g, max(missing, need-g.tape.blocks())
	}
	return g, need - g.tape.blocks()
}

func (s *sizer) tooSmall(needed, given int64) error {
	return &TooSmallError{Needed: needed * s.blockSize, Given: given, Inodes: s.neededInodes()}
}

// minimum finds the smallest geometry: it asks for too few blocks, adds those that are missing, and so on. More blocks hardly ever
// need less besides the content, so that the last step does not lead too far; where it did, bisect finds the way back.
func (s *sizer) minimum() (*geometry, error) {
	before, limit := int64(0), s.maxBlocks()
	blocks := s.fileBlocks + units.Blocks(s.Free, s.blockSize) + units.Blocks(s.neededInodes(), s.inodesPerBlock()) + 1
	for blocks <= limit {
		g, short := s.tryDefault(blocks)
		if short <= 0 {
			return s.bisect(before, g), nil
		}
		before, blocks = blocks, blocks+short
	}
	return nil, s.tooSmall(blocks, limit*s.blockSize)
}

// tryDefault is try for what a file system of so many blocks should be like.
func (s *sizer) tryDefault(blocks int64) (g *geometry, short int64) {
	return s.try(s.request(blocks, s.inodesFor(blocks)))
}

// bisect finds a number of blocks that is enough where one less is not, between one that is not and one that is enough.
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

// layOut finds the geometry for the options.
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
		return nil, fmt.Errorf("lay out ext4: %d blocks of %d bytes are given, %d are the limit", blocks, s.blockSize, limit)
	case blocks == least.blocks:
		return least, nil
	}
	g := s.enlarge(least, blocks)
	for s.Size == 0 && g.blocks < atLeast { // the last group was left away
		blocks += spareInLast
		g = s.enlarge(least, blocks)
	}
	return g, nil
}

// enlarge returns the least geometry more blocks. It then has the journal of its size, and inodes for the additional space; right after
// a border where the journal gets larger there is no room for that, and all but the number of blocks stays as it is.
func (s *sizer) enlarge(least *geometry, blocks int64) *geometry {
	inodes := s.inodesFor(blocks)
	if s.BytesPerInode == 0 {
		inodes += (blocks - least.blocks) * s.blockSize / inodeRatio
	}
	same := least.request
	same.blocks = blocks
	for _, w := range []request{s.request(blocks, inodes), same} {
		if g, short := s.try(s.wholeGroups(w)); short <= 0 {
			return g
		}
	}
	return least
}

// wholeGroups leaves away a last group that is too small to be worth having.
func (s *sizer) wholeGroups(w request) request {
	g := newGeometry(s.format, w)
	if has, must := g.lastGroup(); has > 0 && has < must && g.groups > 1 {
		w.blocks -= has
	}
	return w
}
