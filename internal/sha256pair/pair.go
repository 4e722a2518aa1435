// Package sha256pair computes two SHA-256 hashes at once: of a stream, and of each block of 4 KiB that passes through it, or of a part of it.
//
// An instruction of the processor's SHA extensions waits for the result of the one before. With a second, independent hash interleaved in
// one loop, it does not wait: the two together take less than two thirds of the time that they take one after the other. On processors
// without these instructions, and on other architectures, the standard library's SHA-256 computes both.
package sha256pair

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
)

// BlockSize is the length in bytes of the blocks that are hashed by themselves.
const BlockSize = 4096

// chunk is the block size of SHA-256 in bytes.
const chunk = sha256.BlockSize

// A Writer hashes blocks by themselves while it writes them to a hash.
type Writer interface {
	io.Writer
	// WriteBlocks writes p, whose length is a multiple of BlockSize, and sets each of sums to the SHA-256 of the next BlockSize bytes of p.
	WriteBlocks(p []byte, sums [][sha256.Size]byte)
}

// New returns a hash, ready for writing.
func New() *Hash {
	h := new(Hash)
	h.Reset()
	return h
}

// A Hash is a SHA-256; it implements [hash.Hash] and [Writer].
type Hash struct {
	state [8]uint32
	rest  [chunk]byte // the bytes after the last whole chunk
	n     int         // of rest
	all   uint64      // bytes written

	other hash.Hash // used instead if the processor lacks the SHA extensions
}

// initial is the state before the first byte (FIPS 180-4, 5.3.3).
var initial = [8]uint32{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}

// Reset resets the hash to its initial state.
func (h *Hash) Reset() {
	h.state, h.n, h.all = initial, 0, 0
	switch {
	case native:
	case h.other == nil:
		h.other = sha256.New()
	default:
		h.other.Reset()
	}
}

// Size returns the length of a sum, 32 bytes.
func (h *Hash) Size() int { return sha256.Size }

// BlockSize returns the block size of SHA-256, 64 bytes.
func (h *Hash) BlockSize() int { return chunk }

// Write appends bytes. It never fails.
func (h *Hash) Write(p []byte) (int, error) {
	if h.other != nil {
		return h.other.Write(p)
	}
	n := len(p)
	p = h.fill(p)
	if k := len(p) / chunk; k > 0 {
		block(&h.state, &p[0], k)
		p = p[k*chunk:]
	}
	h.n += copy(h.rest[h.n:], p)
	return n, nil
}

// fill counts p, and completes the chunk that earlier bytes began. It returns the bytes after that.
func (h *Hash) fill(p []byte) []byte {
	h.all += uint64(len(p))
	if h.n == 0 {
		return p
	}
	k := copy(h.rest[h.n:], p)
	if h.n += k; h.n == chunk {
		block(&h.state, &h.rest[0], 1)
		h.n = 0
	}
	return p[k:]
}

// Sum appends the sum of all bytes written to b. Writing can go on.
func (h *Hash) Sum(b []byte) []byte {
	if h.other != nil {
		return h.other.Sum(b)
	}
	end := *h
	length := 8 * h.all
	pad := [2 * chunk]byte{0x80}
	k := chunk - h.n
	if k < 9 { // no room for the marker and the length
		k += chunk
	}
	binary.BigEndian.PutUint64(pad[k-8:], length)
	end.Write(pad[:k])
	return append(b, sumOf(&end.state)...)
}

func sumOf(state *[8]uint32) []byte {
	var sum [sha256.Size]byte
	for i, word := range state {
		binary.BigEndian.PutUint32(sum[4*i:], word)
	}
	return sum[:]
}

// WriteBlocks implements Writer.
func (h *Hash) WriteBlocks(p []byte, sums [][sha256.Size]byte) {
	if h.other != nil {
		h.other.Write(p)
		Blocks(p, sums)
		return
	}
	stream := h.fill(p)
	for i := range sums {
		own := p[i*BlockSize:][:BlockSize]
		state := initial
		n := min(BlockSize, len(stream)) / chunk // one less at the end, unless the stream's chunks are aligned with p
		if n > 0 {
			block2(&h.state, &stream[0], &state, &own[0], n)
		}
		if rest := own[n*chunk:]; len(rest) > 0 {
			block(&state, &rest[0], len(rest)/chunk)
		}
		sums[i] = finish(&state)
		stream = stream[n*chunk:]
	}
	h.n += copy(h.rest[h.n:], stream)
}

// WriteBoth appends p to two hashes. It is faster than two writes if the numbers of bytes before differ by a multiple of 64.
func WriteBoth(g, h *Hash, p []byte) {
	if g.other != nil || g.n != h.n {
		g.Write(p)
		h.Write(p)
		return
	}
	h.fill(p)
	p = g.fill(p)
	if k := len(p) / chunk; k > 0 {
		block2(&g.state, &p[0], &h.state, &p[0], k)
		p = p[k*chunk:]
	}
	g.n += copy(g.rest[g.n:], p)
	h.n += copy(h.rest[h.n:], p)
}

// padding is the chunk that ends the hash of BlockSize bytes: a marker, and the length in bits.
var padding = [chunk]byte{0: 0x80, chunk - 2: BlockSize * 8 >> 8}

// finish returns the sum of the BlockSize bytes that state has absorbed.
func finish(state *[8]uint32) [sha256.Size]byte {
	block(state, &padding[0], 1)
	return [sha256.Size]byte(sumOf(state))
}

// Blocks sets each of sums to the SHA-256 of the next BlockSize bytes of p.
func Blocks(p []byte, sums [][sha256.Size]byte) {
	for len(sums) >= 2 {
		sums[0], sums[1] = Two(p[:BlockSize], p[BlockSize:][:BlockSize])
		p, sums = p[2*BlockSize:], sums[2:]
	}
	if len(sums) > 0 {
		sums[0] = sha256.Sum256(p[:BlockSize])
	}
}

// Two returns the SHA-256s of two blocks of BlockSize bytes.
func Two(p, q []byte) (sumP, sumQ [sha256.Size]byte) {
	p, q = p[:BlockSize], q[:BlockSize]
	if !native {
		return sha256.Sum256(p), sha256.Sum256(q)
	}
	g, h := initial, initial
	block2(&g, &p[0], &h, &q[0], BlockSize/chunk)
	block2(&g, &padding[0], &h, &padding[0], 1)
	return [sha256.Size]byte(sumOf(&g)), [sha256.Size]byte(sumOf(&h))
}
