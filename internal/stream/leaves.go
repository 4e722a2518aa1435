package stream

import (
	"io"
	"iter"

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
	return l.hash(piece, 0, verity.Count(int64(len(piece))))
}

// hash hashes the blocks in [first, end) whose leaves are not known yet, and returns those of all of them.
func (l *leaves) hash(piece []byte, first, end int) []verity.Hash {
	for from, to := range l.gaps(first, end) {
		verity.Leaves(piece[from*verity.BlockSize:min(to*verity.BlockSize, len(piece))], l.list[from:to])
	}
	return l.list[first:end]
}

// gaps yields the ranges [from, to) of those in [first, end) that are not known.
func (l *leaves) gaps(first, end int) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		for i := first; i < end; i++ {
			from := i
			for i < end && !l.known[i] {
				i++
			}
			if from < i && !yield(from, i) {
				return
			}
		}
	}
}

// set makes known those from first on.
func (l *leaves) set(first int, list []verity.Hash) {
	for i := range copy(l.list[first:], list) {
		l.known[first+i] = true
	}
}

// forget makes all leaves unknown.
func (l *leaves) forget() {
	if l.any {
		clear(l.known[:])
		l.any = false
	}
}
