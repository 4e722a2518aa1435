package stream

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"imprint/internal/verity"
)

// PieceSize is the length in bytes of the pieces that a disk's hash tree is computed from. A window is one piece: 4 MiB are enough to make
// large writes, and twelve windows are still little memory.
const PieceSize = 4 << 20

// Pieces computes the hash tree of a disk while it is written, a piece of PieceSize bytes at a time, the last one shorter. It counts the bytes
// that each piece still waits for; the worker that writes the last of them hashes the piece, from its window when all bytes passed through
// that, else from the file. A piece that nothing is written to is known to be zeros.
type Pieces struct {
	length int64
	total  []int32         // bytes that will be written to each piece
	left   []atomic.Int32  // bytes of those that are not in the file yet
	sums   [][]verity.Hash // digests of each piece: see verity.Fold; nil for zeros
	keeps  []bool          // whether the leaves of a piece are kept; nil if those of none are
	leaves [][]verity.Hash // kept ones, of complete pieces
	spare  sync.Pool

	mu    sync.Mutex
	parts map[int64]*leaves // of pieces that come in several windows, as far as they are known

	// NoSums says that no digest is wanted.
	NoSums bool
	// Take gets each complete piece that something is written to, unless it is nil. It is called from several goroutines, and does not keep
	// the content.
	Take func(piece int64, content []byte) error
}

// NewPieces returns the Pieces of a disk of size bytes.
func NewPieces(size int64) *Pieces {
	n := (size + PieceSize - 1) / PieceSize
	p := &Pieces{length: size, total: make([]int32, n), left: make([]atomic.Int32, n), sums: make([][]verity.Hash, n), parts: map[int64]*leaves{}}
	p.spare.New = func() any { return new([PieceSize]byte) }
	return p
}

// Expect announces that n bytes at off will be written, once. All ranges must be announced before the first write.
func (p *Pieces) Expect(off, n int64) {
	p.each(off, n, func(piece, n int64) error {
		p.total[piece] += int32(n)
		p.left[piece].Add(int32(n))
		return nil
	})
}

// each calls do for the part of a range in each piece.
func (p *Pieces) each(off, n int64, do func(piece, n int64) error) error {
	for n > 0 {
		k := min(n, PieceSize-off%PieceSize)
		if err := do(off/PieceSize, k); err != nil {
			return err
		}
		off, n = off+k, n-k
	}
	return nil
}

// size returns the length of a piece.
func (p *Pieces) size(piece int64) int64 { return min(PieceSize, p.length-piece*PieceSize) }

// wants reports whether the content of pieces is wanted; else bytes are only counted.
func (p *Pieces) wants() bool { return p != nil && (!p.NoSums || p.Take != nil) }

// whole reports whether these bytes are all bytes that are written to the piece.
func (p *Pieces) whole(piece, bytes int64) bool { return int64(p.total[piece]) == bytes }

// Hole reports whether nothing is written to a piece. It may be asked once all ranges are announced.
func (p *Pieces) Hole(piece int64) bool { return p.total[piece] == 0 }

// put takes a complete piece in memory, and its leaves unless NoSums is set.
func (p *Pieces) put(piece int64, content []byte, leaves []verity.Hash) error {
	if !p.NoSums {
		p.hashed(piece, leaves)
	}
	p.left[piece].Store(0)
	return p.pass(piece, content)
}

// hashed takes the leaves of a complete piece, which the caller uses again.
func (p *Pieces) hashed(piece int64, leaves []verity.Hash) {
	p.sums[piece] = verity.Fold(p.length, leaves)
	if p.keeps != nil && p.keeps[piece] {
		p.leaves[piece] = slices.Clone(leaves)
	}
}

// pass passes a complete piece on.
func (p *Pieces) pass(piece int64, content []byte) error {
	if p.Take == nil {
		return nil
	}
	return p.Take(piece, content)
}

// last counts bytes that are in the file now, and reports whether they complete the piece.
func (p *Pieces) last(piece, bytes int64) bool { return p.left[piece].Add(-int32(bytes)) == 0 }

// read takes a complete piece of the file, through a buffer of PieceSize bytes. What windows have noted is not read, unless it is passed on.
func (p *Pieces) read(piece int64, file io.ReaderAt, buf []byte) error {
	if !p.wants() {
		return nil
	}
	content, leaves := buf[:p.size(piece)], p.noted(piece)
	for from, to := range leaves.gaps(0, verity.Count(int64(len(content)))) {
		part := content[from*verity.BlockSize : min(to*verity.BlockSize, len(content))]
		if _, err := file.ReadAt(part, piece*PieceSize+int64(from)*verity.BlockSize); err != nil && err != io.EOF {
			return err
		}
	}
	if !p.NoSums {
		p.hashed(piece, leaves.complete(content))
	}
	return p.pass(piece, content)
}

// Made counts a range that is now in the file, whoever wrote it.
func (p *Pieces) Made(off, n int64, file io.ReaderAt) error {
	return p.each(off, n, func(piece, n int64) error {
		if !p.last(piece, n) {
			return nil
		}
		buf := p.spare.Get().(*[PieceSize]byte)
		defer p.spare.Put(buf)
		return p.read(piece, file, buf[:])
	})
}

// Sum returns the measurement of the whole disk, once everything is written.
func (p *Pieces) Sum() verity.Measurement {
	var root verity.Root
	for piece, sums := range p.sums {
		p.add(&root, int64(piece), sums)
	}
	return verity.Measure(p.length, root.Sum())
}

// add appends a piece to a tree.
func (p *Pieces) add(root *verity.Root, piece int64, sums []verity.Hash) {
	if size := p.size(piece); p.total[piece] == 0 {
		root.AddZeros(size)
	} else {
		root.Add(size, sums)
	}
}

// SumOf returns the measurement of the n bytes at off, as of a file with those bytes, once everything is written. Where they do not consist of
// whole blocks of the disk's tree, it reads them again.
func (p *Pieces) SumOf(off, n int64, file io.ReaderAt) (verity.Measurement, error) {
	var root verity.Root
	buf := make([]byte, verity.Span)
	for end := off + n; off < end; {
		if off%PieceSize == 0 && end-off >= PieceSize {
			p.add(&root, off/PieceSize, p.sums[off/PieceSize])
			off += PieceSize
			continue
		}
		part := buf[:min(verity.Span, end-off)]
		if digest, ok := p.block(off, int64(len(part))); ok {
			root.Add(verity.Span, []verity.Hash{digest})
		} else if err := addFrom(&root, file, off, part, n); err != nil {
			return verity.Measurement{}, err
		}
		off += int64(len(part))
	}
	return verity.Measure(n, root.Sum()), nil
}

// block returns the digest of a block of the disk's tree, if the n bytes at off are what it covers.
func (p *Pieces) block(off, n int64) (digest verity.Hash, ok bool) {
	sums := p.sums[off/PieceSize]
	if off%verity.Span != 0 || n != verity.Span || sums == nil {
		return digest, false
	}
	return sums[off%PieceSize/verity.Span], true
}

// addFrom appends a part of a file to the tree of all bytes.
func addFrom(root *verity.Root, file io.ReaderAt, off int64, part []byte, all int64) error {
	if _, err := file.ReadAt(part, off); err != nil && err != io.EOF {
		return err
	}
	root.Add(int64(len(part)), verity.Digests(all, part))
	return nil
}
