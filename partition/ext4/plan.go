// Package ext4 lays out an ext4 file system for a tree, to the byte, before anything is written: the size it needs, what lies where, and the
// bytes of every structure when they are asked for. README.md describes the layout and the reasons for it. [Read] is the inverse: it reads the
// tree of any ext2, ext3 or ext4 file system, and the [Volume] checks and explains its structure.
//
// The format is described in the kernel's Documentation/filesystems/ext4; comments name its sections. What is laid out is what mke2fs
// 1.47 makes by default, with an index for every directory of more than one block.
package ext4

import (
	"fmt"
	"math"
	"sync"

	"imprint/internal/tree"
)

// A Plan is the layout of a file system. It does not change, and may be used by several goroutines at once.
type Plan struct {
	*inventory
	g       *geometry
	options Options
	*placement
	sum        checksum      // over the UUID, which the checksums of all structures start with
	inodesIn   []groupInodes // of each group
	kept       Kept
	bitmapSums func() []bitmapSum
}

// New lays out a file system for a tree. It opens no blob. A tree that does not fit is a [*TooSmallError]; a node that ext4 cannot hold is an
// error with its path.
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
	sizing := o
	if o.Size != 0 {
		sizing.Spare, sizing.SpareInodes = 0, 0
	}
	g, err := (&sizer{c, sizing}).layOut()
	if err != nil {
		return nil, err
	}
	if o.Earlier == nil {
		return newPlan(c, g, o, nil)
	}
	kept, place, report := c.keep(&o, g)
	if report.Anew == "" {
		c, g = kept, o.Earlier.geometry
	}
	p, err := newPlan(c, g, o, place)
	if err == nil {
		p.kept = *report
	}
	return p, err
}

// newPlan makes a plan of a geometry that is large enough for the contents. If they have no places yet, they are allocated without gaps.
func newPlan(c *inventory, g *geometry, o Options, place *placement) (*Plan, error) {
	if reserved := o.Reserved / o.BlockSize; reserved > g.blocks/2 {
		return nil, fmt.Errorf("lay out ext4: %d reserved blocks are more than half of %d blocks", reserved, g.blocks)
	}
	if inodes := g.groups * g.inodesPerGroup; inodes > math.MaxUint32 {
		return nil, fmt.Errorf("lay out ext4: %d inodes, %d are the limit", inodes, uint32(math.MaxUint32))
	}
	p := &Plan{inventory: c, g: g, options: o, sum: checksumStart.over(o.UUID[:])}
	if g.journal == 0 { // the file system is too small for one
		p.features &^= 1 << hasJournal
	}
	if p.placement = place; place == nil {
		p.placement = c.inOrder(c.allocate(g, true), g.journal > 0)
	}
	p.inodesIn = p.countInodes()
	p.bitmapSums = sync.OnceValue(p.sumBitmaps)
	return p, nil
}

// Kept says what of the earlier file system of [Options.Earlier] has stayed in its place.
func (p *Plan) Kept() Kept { return p.kept }

// Size is the size of the file system in bytes. It is Options.Size without a remainder of less than a block, or without a last block group
// that would be too small.
func (p *Plan) Size() int64 { return p.g.blocks * p.blockSize }

// A Summary is the figures of a file system.
type Summary struct {
	BlockSize     int64 // bytes
	Blocks        int64
	FreeBlocks    int64
	Inodes        int64
	FreeInodes    int64
	JournalBlocks int64 // 0 without a journal
	Groups        int64
	Features      []string
}

// Summary returns the figures of the file system.
func (p *Plan) Summary() Summary {
	inodes := p.g.groups * p.g.inodesPerGroup
	return Summary{
		BlockSize: p.blockSize, Blocks: p.g.blocks, FreeBlocks: p.freeBlocks(), Inodes: inodes, FreeInodes: inodes - p.inventory.inodes(),
		JournalBlocks: p.g.journal, Groups: p.g.groups, Features: p.features.names(),
	}
}
