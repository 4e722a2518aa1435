// Package tarsums hashes a tar archive and the contents in it in one pass, while the archive is written somewhere: the SHA-256 of the whole, and of
// each content, in little more time than that of the whole alone.
//
// It does not read archives: it looks for headers, takes what follows one for a content, and says what hash each range has that it has taken for
// one. Whoever reads the archive asks for the ranges of its contents. A format that it does not know, such as that of sparse files,
// costs hashes, and never gives a wrong one.
package tarsums

import (
	"bytes"
	"crypto/sha256"

	"imprint/internal/sha256pair"
	"imprint/internal/tree"
)

// A Hash is the SHA-256 of an archive; it implements [hash.Hash].
type Hash struct {
	whole *sha256pair.Hash
	at    int64 // bytes written

	header [block]byte
	n      int // bytes of header

	content *sha256pair.Hash
	start   int64 // of the content, or of what follows it: bytes before it
	left    int64 // bytes of the content to come, then of zeros that complete a block
	pad     int64
	unit    bool // the unit of tree.HoleSize that the content is in has only zeros up to here
	hole    bool // it has one of only zeros, so that its pin is not its SHA-256

	found map[int64]sum // by the offset
}

// A sum is the hash of a content of so many bytes.
type sum struct {
	size int64
	sum  [sha256.Size]byte
}

// block is the unit of an archive in bytes.
const block = 512

// New returns the hash of an empty archive.
func New() *Hash {
	return &Hash{whole: sha256pair.New(), content: sha256pair.New(), found: map[int64]sum{}}
}

// Content returns the [tree.Pin] of size bytes of the archive at an offset. ok is false if they were not taken for a content, or have holes.
func (h *Hash) Content(off, size int64) (pin tree.Pin, ok bool) {
	s, has := h.found[off]
	return s.sum, has && s.size == size
}

// Write appends a part of the archive. It never fails.
func (h *Hash) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := 0
		switch {
		case h.left > 0:
			n = h.take(rest)
		case h.pad > 0:
			n = int(min(h.pad, int64(len(rest))))
			h.whole.Write(rest[:n])
			h.pad -= int64(n)
		default:
			n = copy(h.header[h.n:], rest)
			h.whole.Write(rest[:n])
			if h.n += n; h.n == block {
				h.begin(h.at + int64(n))
			}
		}
		h.at += int64(n)
		rest = rest[n:]
	}
	return len(p), nil
}

// take hashes a part of a content.
func (h *Hash) take(p []byte) int {
	done := h.at - h.start
	p = p[:min(int64(len(p)), h.left, tree.HoleSize-done%tree.HoleSize)]
	sha256pair.WriteBoth(h.whole, h.content, p)
	if done%tree.HoleSize == 0 {
		h.unit = true
	}
	h.unit = h.unit && isZero(p)
	done += int64(len(p))
	h.hole = h.hole || h.unit && done%tree.HoleSize == 0
	if h.left -= int64(len(p)); h.left == 0 {
		h.end(done)
	}
	return len(p)
}

// begin takes the header that is complete, and what follows from an offset on for its content.
func (h *Hash) begin(at int64) {
	h.n = 0
	size, ok := sizeOf(&h.header)
	if !ok || size == 0 {
		return
	}
	h.start, h.left, h.hole = at, size, false
	h.content.Reset()
}

// end ends a content of some bytes.
func (h *Hash) end(size int64) {
	h.pad = -size & (block - 1)
	if h.hole {
		return
	}
	s := sum{size: size}
	h.content.Sum(s.sum[:0])
	h.found[h.start] = s
}

var zeros [4096]byte

// isZero looks at the first bytes before it looks at all: they nearly always differ from zero if anything does.
func isZero(p []byte) bool {
	for len(p) > 0 {
		n := min(len(p), len(zeros))
		if p[0] != 0 || !bytes.Equal(p[:n], zeros[:n]) {
			return false
		}
		p = p[n:]
	}
	return true
}

// Sum appends the SHA-256 of the archive to b.
func (h *Hash) Sum(b []byte) []byte { return h.whole.Sum(b) }

// Reset makes the archive an empty one.
func (h *Hash) Reset() { *h = *New() }

// Size returns the length of a sum in bytes.
func (h *Hash) Size() int { return sha256.Size }

// BlockSize returns the block size of SHA-256 in bytes.
func (h *Hash) BlockSize() int { return sha256.BlockSize }
