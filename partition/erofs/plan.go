// Package erofs lays out an EROFS file system that holds a tree, before anything is written: its size, the place of everything, and the
// bytes of every structure when they are read. [New] returns this layout as a [Plan]. [Read] is the inverse, and returns a [Volume].
// README.md describes the layout and its reasons.
//
// The format is described in the kernel's Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h; comments name the structures of the
// latter. Nothing is compressed.
package erofs

import (
	"fmt"
	"math"
	"sync"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// A Plan is the layout of a file system, an [extent.Source]. It is immutable, and safe for concurrent use.
type Plan struct {
	*content
	options Options
	blocks  int64 // of the region
	super   func() [superSize]byte
}

// New lays out a file system for a tree. It opens no blob. The error is a [*TooSmallError] if the tree does not fit; for a node that EROFS
// cannot hold it names the path.
func New(t *tree.Tree, o Options) (*Plan, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	c, err := newContent(t, o.Epoch)
	if err != nil {
		return nil, err
	}
	p := &Plan{content: c, options: o, blocks: max(c.end(), units.Blocks(o.MinSize, blockSize))}
	if o.Size != 0 {
		p.blocks = o.Size / blockSize
	}
	switch {
	case c.end() > math.MaxUint32:
		return nil, fmt.Errorf("lay out EROFS: %d blocks are needed, %d are the limit", c.end(), uint32(math.MaxUint32))
	case p.blocks < c.end():
		return nil, &TooSmallError{Needed: c.end() * blockSize, Given: o.Size}
	}
	p.super = sync.OnceValue(p.makeSuper)
	return p, nil
}

// Size returns the size of the region in bytes: Options.Size rounded down to blocks, or else the smallest that suffices.
func (p *Plan) Size() int64 { return p.blocks * blockSize }

// Grain returns the unit in bytes in which contents and inodes are packed: a gap of fewer bytes between two contents, or between two
// structures, is padding and holds zeros, so that a writer may fill it. It is less than a block, since contents lie between inodes.
func (p *Plan) Grain() int64 { return 4 }

// A Summary describes the size of a file system and its parts.
type Summary struct {
	BlockSize   int64 // bytes
	Blocks      int64 // in use; the rest of the region does not belong to the file system
	Inodes      int64
	TableBlocks int64 // of inodes without file contents
	TailBlocks  int64 // of inodes with the tails of files
	FileBlocks  int64 // of the rest of files
}

// Summary returns the sizes of the file system and its parts.
func (p *Plan) Summary() Summary {
	return Summary{
		BlockSize: blockSize, Blocks: p.end(), Inodes: int64(len(p.order)), TableBlocks: p.table.blocks, TailBlocks: p.tails.blocks,
		FileBlocks: p.end() - p.filesAt(),
	}
}
