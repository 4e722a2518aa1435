package stream

import (
	"io"
	"slices"

	"imprint/internal/verity"
)

// Keep announces that [Pieces.Leaves] will be asked for the n bytes at off.
func (p *Pieces) Keep(off, n int64) {
	if p.keeps == nil {
		p.keeps, p.leaves = make([]bool, len(p.sums)), make([][]verity.Hash, len(p.sums))
	}
	p.each(off, n, func(piece, _ int64) error {
		p.keeps[piece] = true
		return nil
	})
}

// Leaves returns the digests of the blocks of the n bytes at off, as of a file with those bytes, once all of them are written. Where they are
// not those of the disk's tree, or belong to a piece that waits for other bytes, it reads the file.
func (p *Pieces) Leaves(off, n int64, file io.ReaderAt) ([]verity.Hash, error) {
	list := make([]verity.Hash, verity.Count(n))
	for at := int64(0); at < n; {
		part := min(PieceSize-(off+at)%PieceSize, n-at)
		if off%verity.BlockSize != 0 {
			part = min(PieceSize, n-at) // so that it consists of whole blocks
		}
		leaves := list[at/verity.BlockSize:][:verity.Count(part)]
		if !p.known(off+at, part, leaves) {
			if err := p.readLeaves(off+at, part, leaves, file); err != nil {
				return nil, err
			}
		}
		at += part
	}
	return list, nil
}

// known sets leaves to the digests of a part of one piece, and reports whether they were kept, or are those of zeros.
func (p *Pieces) known(off, n int64, leaves []verity.Hash) bool {
	if off%verity.BlockSize != 0 || n%verity.BlockSize != 0 && off+n != p.length {
		return false
	}
	piece := off / PieceSize
	kept := p.leaves[piece]
	switch {
	case kept != nil:
		copy(leaves, kept[off%PieceSize/verity.BlockSize:])
	case p.total[piece] == 0:
		verity.Zeros(leaves)
	}
	return kept != nil || p.total[piece] == 0
}

// readLeaves sets leaves to the digests of n bytes of the file.
func (p *Pieces) readLeaves(off, n int64, leaves []verity.Hash, file io.ReaderAt) error {
	buf := p.spare.Get().(*[PieceSize]byte)
	defer p.spare.Put(buf)
	if _, err := file.ReadAt(buf[:n], off); err != nil && err != io.EOF {
		return err
	}
	verity.Leaves(buf[:n], leaves)
	return nil
}

// Add announces the ranges that were announced to q, of a disk of the same size.
func (p *Pieces) Add(q *Pieces) {
	for piece, n := range q.total {
		p.total[piece] += n
		p.left[piece].Add(n)
	}
}

// Same reports whether as many bytes of each piece were announced to q.
func (p *Pieces) Same(q *Pieces) bool { return slices.Equal(p.total, q.total) }
