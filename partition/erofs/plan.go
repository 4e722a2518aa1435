// Package erofs lays out an EROFS file system that holds a tree, to the byte, before anything of it is written: which size it needs, what
// lies where, and the bytes of every structure when they are asked for. It also reads such a file system back into a tree. README.md
// describes the layout and its reasons.
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

// A Plan is a file system that is laid out. It does not change any more, and may be read by several goroutines.
type Plan struct {
	*content
	options Options
	blocks  int64 // of the region
	super   func() [superSize]byte
}

// New lays out a file system for a tree. It opens no blob. What does not fit is a *TooSmallError; what EROFS cannot hold is an error that
// names the path.
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

// Size is the bytes of the region: Options.Size, rounded down to whole blocks, or what is needed.
func (p *Plan) Size() int64 { return p.blocks * blockSize }

// Grain is the unit in bytes in which contents and inodes are packed: fewer bytes than that between two contents, or between two
// structures, belong to nobody and are zeros. It is less than a block, since contents lie between inodes.
func (p *Plan) Grain() int64 { return 4 }

// A Summary is what a file system amounts to.
type Summary struct {
	BlockSize   int64 // bytes
	Blocks      int64 // in use; what follows them in the region does not belong to the file system
	Inodes      int64
	TableBlocks int64 // of inodes without file contents
	TailBlocks  int64 // of inodes with the tails of files
	FileBlocks  int64 // of the rest of files
}

// Summary reports what the file system amounts to.
func (p *Plan) Summary() Summary {
	return Summary{
		BlockSize: blockSize, Blocks: p.end(), Inodes: int64(len(p.order)), TableBlocks: p.table.blocks, TailBlocks: p.tails.blocks,
		FileBlocks: p.end() - p.filesAt(),
	}
}
