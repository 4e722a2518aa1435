package stream

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync"
	"sync/atomic"
)

// PieceSize is the length in bytes of the pieces that a disk's digest is computed over. A window is one piece: 4 MiB are enough to make
// large writes, and twelve windows are still little memory.
const PieceSize = 4 << 20

// Pieces computes the digest of a disk while it is written: the SHA-256 over the SHA-256s of its consecutive pieces of PieceSize bytes, the
// last one shorter. It counts the bytes that each piece still waits for; the worker that writes the last of them hashes the piece, from its
// window when all bytes passed through that, else from the file. A piece that nothing is written to is known to be zeros.
type Pieces struct {
	length int64
	total  []int32        // bytes that will be written to each piece
	left   []atomic.Int32 // bytes of those that are not in the file yet
	sums   [][sha256.Size]byte
	spare  sync.Pool
}

// NewPieces returns the Pieces of a disk of that many bytes.
func NewPieces(size int64) *Pieces {
	n := (size + PieceSize - 1) / PieceSize
	p := &Pieces{length: size, total: make([]int32, n), left: make([]atomic.Int32, n), sums: make([][sha256.Size]byte, n)}
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

// size is the length of a piece.
func (p *Pieces) size(piece int64) int64 { return min(PieceSize, p.length-piece*PieceSize) }

// whole reports whether these bytes are all that is written to the piece.
func (p *Pieces) whole(piece, bytes int64) bool { return int64(p.total[piece]) == bytes }

// put hashes a piece in memory.
func (p *Pieces) put(piece int64, content []byte) {
	p.sums[piece] = sha256.Sum256(content)
	p.left[piece].Store(0)
}

// last counts bytes that are in the file now, and reports whether they complete the piece.
func (p *Pieces) last(piece, bytes int64) bool { return p.left[piece].Add(-int32(bytes)) == 0 }

// read hashes a complete piece of the file, through a buffer of PieceSize bytes.
func (p *Pieces) read(piece int64, file io.ReaderAt, buf []byte) error {
	content := buf[:p.size(piece)]
	if _, err := file.ReadAt(content, piece*PieceSize); err != nil && err != io.EOF {
		return err
	}
	p.sums[piece] = sha256.Sum256(content)
	return nil
}

// Made counts a range that is in the file now, whoever wrote it.
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

// A Digest is a SHA-256 over the SHA-256s of pieces.
type Digest [sha256.Size]byte

// String returns the digest with its algorithm: "sha256-4MiB:" and 64 hexadecimal digits.
func (d Digest) String() string { return "sha256-4MiB:" + hex.EncodeToString(d[:]) }

// Sum returns the digest of the pieces that [off, off+n) lies in, once everything is written.
func (p *Pieces) Sum(off, n int64) Digest {
	zero := map[int64][sha256.Size]byte{}
	h := sha256.New()
	for piece := off / PieceSize; piece*PieceSize < off+n; piece++ {
		sum := p.sums[piece]
		if p.total[piece] == 0 {
			size := p.size(piece)
			if _, ok := zero[size]; !ok {
				zero[size] = sha256.Sum256(make([]byte, size))
			}
			sum = zero[size]
		}
		h.Write(sum[:])
	}
	return Digest(h.Sum(nil))
}
