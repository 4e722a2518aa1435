package stream

import (
	"io"

	"imprint/internal/sha256pair"
	"imprint/internal/verity"
)

// leaves are those of the hash tree of the disk below one piece, as far as they are known.
type leaves struct {
	list  [PieceSize / verity.BlockSize]verity.Hash
	known [PieceSize / verity.BlockSize]bool
	any   bool // whether one is known
}

// write writes p, which begins at offset lo of the piece, to h. If h can hash blocks at the same time, those that lie in p become known.
func (l *leaves) write(h io.Writer, p []byte, lo int64) error {
	pair, ok := h.(sha256pair.Writer)
	first, end := (lo+verity.BlockSize-1)/verity.BlockSize, (lo+int64(len(p)))/verity.BlockSize
	if !ok || first >= end {
		_, err := h.Write(p)
		return err
	}
	from, to := first*verity.BlockSize-lo, end*verity.BlockSize-lo
	if _, err := h.Write(p[:from]); err != nil {
		return err
	}
	pair.WriteBlocks(p[from:to], l.list[first:end])
	for i := first; i < end; i++ {
		l.known[i] = true
	}
	l.any = true
	_, err := h.Write(p[to:])
	return err
}

// complete hashes the blocks of a piece whose leaves are not known yet, and returns all leaves.
func (l *leaves) complete(piece []byte) []verity.Hash {
	n := verity.Count(int64(len(piece)))
	for i := 0; i < n; i++ {
		from := i
		for i < n && !l.known[i] {
			i++
		}
		verity.Leaves(piece[from*verity.BlockSize:min(i*verity.BlockSize, len(piece))], l.list[from:i])
	}
	return l.list[:n]
}

// forget makes all leaves unknown.
func (l *leaves) forget() {
	if l.any {
		clear(l.known[:])
		l.any = false
	}
}
