// Package verity computes the Merkle trees of fs-verity and dm-verity: SHA-256, blocks of 4 KiB, no salt.
//
// The data is cut into blocks, the last one padded with zeros. The digests of 128 blocks, its leaves, fill a block of the level above; the
// last block of a level is padded with zeros. The digest of the only block of the top level is the root. Both users of such trees in Linux
// compute the same root for the same data (kernel documentation, filesystems/fsverity.rst, "Merkle tree", and
// admin-guide/device-mapper/verity.rst, "On-disk format").
//
// Blocks are independent of one another, so trees are computed in parallel, and the tree over a hole of any size is a constant.
package verity

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"imprint/internal/sha256pair"
)

const (
	// BlockSize is the length in bytes of a block, of data and of the tree.
	BlockSize = 4096
	// Fanout is the number of digests in a block of the tree.
	Fanout = BlockSize / sha256.Size
	// Span is the length in bytes of the data below a block of the lowest level of the tree.
	Span = Fanout * BlockSize
)

// A Hash is the SHA-256 of a block.
type Hash = [sha256.Size]byte

// levels is enough for 2^63 bytes: each level has 128 times the reach of the one below.
const levels = 9

// zeros holds, for each level, the digest of a block that covers zeros alone: of data at 0, of the lowest level of the tree at 1.
var zeros = func() (z [levels + 1]Hash) {
	z[0] = sha256.Sum256(zeroBlock[:])
	for i := range levels {
		z[i+1] = sha256.Sum256(bytes.Repeat(z[i][:], Fanout))
	}
	return z
}()

var zeroBlock [BlockSize]byte

// Leaves sets leaves to the digests of the blocks of data, the last of which may be shorter.
func Leaves(data []byte, leaves []Hash) {
	waiting := -1 // for another to be hashed with
	block := func(i int) []byte { return data[i*BlockSize : min((i+1)*BlockSize, len(data))] }
	for i := range leaves {
		switch b := block(i); {
		case len(b) < BlockSize:
			leaves[i] = sha256.Sum256(append(slices.Clone(b), zeroBlock[len(b):]...))
		case b[0] == 0 && b[BlockSize-1] == 0 && bytes.Equal(b, zeroBlock[:]):
			leaves[i] = zeros[0]
		case waiting < 0:
			waiting = i
		default:
			leaves[waiting], leaves[i] = sha256pair.Two(block(waiting), b)
			waiting = -1
		}
	}
	if waiting >= 0 {
		leaves[waiting] = sha256.Sum256(block(waiting))
	}
}

// Zeros sets leaves to the digests of blocks of zeros.
func Zeros(leaves []Hash) {
	for i := range leaves {
		leaves[i] = zeros[0]
	}
}

// Count returns the number of blocks of data of n bytes.
func Count(n int64) int { return int((n + BlockSize - 1) / BlockSize) }

// Fold returns the digests of the blocks that leaves fill, one for each [Span] bytes of data. The tree over total bytes that are no more than a
// block has no such blocks: its leaf is returned.
func Fold(total int64, leaves []Hash) (list []Hash) {
	if total <= BlockSize {
		return slices.Clone(leaves)
	}
	for block := range slices.Chunk(leaves, Fanout) {
		var b [BlockSize]byte
		for i := range block {
			copy(b[i*sha256.Size:], block[i][:])
		}
		list = append(list, sha256.Sum256(b[:]))
	}
	return list
}

// Digests returns the argument of [Root.Add] for a part of data of total bytes.
func Digests(total int64, part []byte) []Hash {
	leaves := make([]Hash, Count(int64(len(part))))
	Leaves(part, leaves)
	return Fold(total, leaves)
}

// A Root computes the root of the tree over data that is added from its start to its end, as [Digests] or as holes. The zero value
// is ready to use. It keeps a block for each level.
type Root struct {
	size   int64
	levels [levels][]byte // digests that do not fill a block yet: at 0 those of leaves, at 1 those of the blocks above them
	top    int            // the highest level with a digest so far
}

// Add appends the digests of the next n bytes, as [Digests] returns them. Only the last call may have an n that is not a multiple of Span.
func (r *Root) Add(n int64, list []Hash) {
	level := 1
	if r.size+n <= BlockSize {
		level = 0
	}
	r.size += n
	for i := range list {
		r.push(level, list[i])
	}
}

// AddZeros appends n bytes that are zero, under the same condition as Add.
func (r *Root) AddZeros(n int64) {
	if whole := n / Span; whole > 0 {
		r.size += whole * Span
		r.pushZeros(1, whole)
		n %= Span
	}
	if n > 0 {
		r.Add(n, Digests(r.size+n, make([]byte, n)))
	}
}

// push appends a digest to a level. A level that is full becomes a digest of the one above.
func (r *Root) push(level int, h Hash) {
	r.top = max(r.top, level)
	r.levels[level] = append(r.levels[level], h[:]...)
	if len(r.levels[level]) == BlockSize {
		h := sha256.Sum256(r.levels[level])
		r.levels[level] = r.levels[level][:0]
		r.push(level+1, h)
	}
}

// pushZeros appends n digests of zeros to a level: one by one up to the end of its block, then whole blocks at once.
func (r *Root) pushZeros(level int, n int64) {
	for ; n > 0 && len(r.levels[level]) > 0; n-- {
		r.push(level, zeros[level])
	}
	if n >= Fanout {
		r.top = max(r.top, level)
		r.pushZeros(level+1, n/Fanout)
		n %= Fanout
	}
	for ; n > 0; n-- {
		r.push(level, zeros[level])
	}
}

// Size returns the number of bytes added.
func (r *Root) Size() int64 { return r.size }

// Sum returns the root; nothing can be added after that. The root of no data is zero.
func (r *Root) Sum() (root Hash) {
	for level := 0; r.size > 0; level++ {
		digests := r.levels[level]
		if level == r.top && len(digests) == sha256.Size {
			return Hash(digests)
		}
		if len(digests) > 0 {
			var block [BlockSize]byte
			copy(block[:], digests)
			r.levels[level] = nil
			r.push(level+1, sha256.Sum256(block[:]))
		}
	}
	return root
}

// A Measurement is the digest by which fs-verity names a file: that of a descriptor with its size and the root of its tree.
type Measurement [sha256.Size]byte

// Name is the prefix of a measurement as text.
const Name = "fsverity-sha256:"

// String returns the measurement as [Name] and 64 hexadecimal digits, those that "fsverity digest" prints.
func (m Measurement) String() string { return Name + hex.EncodeToString(m[:]) }

// Measure returns the measurement of a file of size bytes whose tree has this root (struct fsverity_descriptor in
// include/uapi/linux/fsverity.h; without a salt and a signature).
func Measure(size int64, root Hash) Measurement {
	var d [256]byte
	d[0], d[1], d[2] = 1, 1, 12 // version, SHA-256, binary logarithm of BlockSize
	binary.LittleEndian.PutUint64(d[8:], uint64(size))
	copy(d[16:], root[:])
	return sha256.Sum256(d[:])
}
