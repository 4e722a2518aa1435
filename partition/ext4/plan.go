// Package ext4 lays out an ext4 file system that holds a tree, to the byte, before anything of it is written: which size it needs, what
// lies where, and the bytes of every structure when they are asked for. README.md tells the layout and its reasons.
//
// The format is described in the kernel's Documentation/filesystems/ext4; comments name its sections. What is made is what mke2fs 1.47
// makes of a file system of type ext4, with every directory indexed that has more than one block.
package ext4

import (
	"fmt"
	"math"
	"sync"

	"imprint/internal/tree"
)

// A Plan is a file system that is laid out. It is not changed any more, and may be read by several goroutines.
type Plan struct {
	*inventory
	g          *geometry
	options    Options
	sections   sections
	usedEnd    int64    // the block after the last one of the content
	sum        checksum // over the UUID: where the checksums of all structures start
	dirsIn     []uint32 // directories in each group
	bitmapSums func() []bitmapSum
}

// New lays out a file system for a tree. It opens no blob. What does not fit is a *TooSmallError; what ext4 cannot hold is an error
// that names the path.
func New(t *tree.Tree, o Options) (*Plan, error) {
	if o.BlockSize == 0 {
		o.BlockSize = 4096
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	features, err := parseFeatures(o.Features)
	if err != nil {
		return nil, fmt.Errorf("lay out ext4: %v", err)
	}
	f := &format{blockSize: o.BlockSize, features: features}
	lost := &tree.Attr{Mode: 0o700, Mtime: tree.Time{Sec: o.Epoch}}
	c, err := newInventory(t, f, o.HashSeed, lost)
	if err != nil {
		return nil, err
	}
	g, err := (&sizer{c, o}).layOut()
	if err != nil {
		return nil, err
	}
	return newPlan(c, g, o)
}

func newPlan(c *inventory, g *geometry, o Options) (*Plan, error) {
	if reserved := o.Reserved / o.BlockSize; reserved > g.blocks/2 {
		return nil, fmt.Errorf("lay out ext4: %d blocks are reserved, half of the %d blocks are allowed", reserved, g.blocks)
	}
	if inodes := g.groups * g.inodesPerGroup; inodes > math.MaxUint32 {
		return nil, fmt.Errorf("lay out ext4: %d inodes are asked for, %d are the limit", inodes, uint32(math.MaxUint32))
	}
	p := &Plan{inventory: c, g: g, options: o, sum: checksumStart.over(o.UUID[:])}
	if g.journal == 0 { // the file system is too small for one
		p.features &^= 1 << hasJournal
	}
	p.sections = c.allocate(g, true)
	last, _ := g.tape.physical(p.sections.end - 1)
	p.usedEnd = last + 1
	p.dirsIn = p.countDirs()
	p.bitmapSums = sync.OnceValue(p.sumBitmaps)
	return p, nil
}

// Size is the bytes of the file system: a multiple of the block size. It is what Options.Size says but for a rest of less than a block, or
// at the end of the last whole block group when what is after it is too little for one more.
func (p *Plan) Size() int64 { return p.g.blocks * p.blockSize }

// A Summary is what a file system amounts to.
type Summary struct {
	BlockSize     int64 // bytes
	Blocks        int64
	FreeBlocks    int64
	Inodes        int64
	FreeInodes    int64
	JournalBlocks int64 // 0: there is no journal
	Groups        int64
	Features      []string
}

// Summary tells what the file system amounts to.
func (p *Plan) Summary() Summary {
	inodes := p.g.groups * p.g.inodesPerGroup
	return Summary{
		BlockSize: p.blockSize, Blocks: p.g.blocks, FreeBlocks: p.freeBlocks(), Inodes: inodes, FreeInodes: inodes - p.inventory.inodes(),
		JournalBlocks: p.g.journal, Groups: p.g.groups, Features: p.features.names(),
	}
}
