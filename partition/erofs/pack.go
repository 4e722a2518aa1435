package erofs

import "imprint/internal/units"

// openBlocks is how many blocks a packer keeps open. More of them fill the blocks better, but take inodes further away from their
// neighbours in the tree.
const openBlocks = 16

// A packer lays entries (an inode with what follows it) into blocks so that none of them crosses the end of a block: content after an
// inode may not, and the kernel reads an inode faster that does not. Each entry goes into the fullest open block that it fits into.
type packer struct {
	blocks int64 // in use
	open   [openBlocks]openBlock
}

type openBlock struct {
	free int64 // slots at its end
	end  int64 // the slot after the block
}

// take returns the first slot for an entry that takes slots. An entry longer than a block begins a new block; the next entries fill its last.
func (p *packer) take(slots int64) int64 {
	best, fullest := -1, 0
	for i, b := range p.open {
		if b.free >= slots && (best < 0 || b.free < p.open[best].free) {
			best = i
		}
		if b.free < p.open[fullest].free {
			fullest = i
		}
	}
	if best < 0 {
		best = fullest
		p.blocks += units.Blocks(slots, slotsPerBlock)
		p.open[best] = openBlock{free: units.Align(slots, slotsPerBlock), end: p.blocks * slotsPerBlock}
	}
	b := &p.open[best]
	at := b.end - b.free
	b.free -= slots
	return at
}
