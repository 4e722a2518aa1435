package resolve

import (
	"bytes"

	"imprint/internal/tree"
)

// holeSize is the unit in bytes in which zeros make a hole: large enough that a hole is worth an extent.
const holeSize = 64 << 10

// holes finds the long zeros of what is written to it.
type holes struct {
	at    int64 // bytes written
	ended int64 // where the last data ended
	data  []tree.Range
	some  bool // a hole was found
}

var hole [holeSize]byte

// Write implements io.Writer.
func (h *holes) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		part := rest[:min(int64(len(rest)), holeSize-h.at%holeSize)]
		if len(part) == holeSize && bytes.Equal(part, hole[:]) {
			h.some = true
		} else {
			h.add(int64(len(part)))
		}
		h.at += int64(len(part))
		rest = rest[len(part):]
	}
	return len(p), nil
}

// add makes the next n bytes data.
func (h *holes) add(n int64) {
	if len(h.data) > 0 && h.ended == h.at {
		h.data[len(h.data)-1].Len += n
	} else {
		h.data = append(h.data, tree.Range{Off: h.at, Len: n})
	}
	h.ended = h.at + n
}

// blob is the blob that was written, with the holes that were found. Those that it has of itself stay.
func (h *holes) blob(b tree.Blob) tree.Blob {
	if _, sparse := b.(tree.SparseBlob); sparse || !h.some {
		return b
	}
	return tree.Sparse(b, h.data)
}
