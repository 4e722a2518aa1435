package verity

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// sparseRoot computes the root over size bytes of which only some blocks are not zeros, level by level as [plain] does, but with only the blocks
// of the tree that differ from those over zeros.
func sparseRoot(size int64, data map[int64][]byte) Hash {
	level, zeros := map[int64]Hash{}, sha256.Sum256(make([]byte, BlockSize))
	for n, block := range data {
		var b [BlockSize]byte
		copy(b[:], block)
		level[n] = sha256.Sum256(b[:])
	}
	for count := (size + BlockSize - 1) / BlockSize; count > 1; {
		full, above := make([]byte, 0, BlockSize), map[int64]Hash{}
		parents := map[int64]bool{(count - 1) / Fanout: true} // the last block may not be full
		for n := range level {
			parents[n/Fanout] = true
		}
		for p := range parents {
			var b []byte
			for n := p * Fanout; n < min(count, (p+1)*Fanout); n++ {
				h, ok := level[n]
				if !ok {
					h = zeros
				}
				b = append(b, h[:]...)
			}
			above[p] = sha256.Sum256(append(b, make([]byte, BlockSize-len(b))...))
		}
		for range Fanout {
			full = append(full, zeros[:]...)
		}
		level, zeros, count = above, sha256.Sum256(full), (count+Fanout-1)/Fanout
	}
	if h, ok := level[0]; ok {
		return h
	}
	return zeros
}

// streamed is the root of the same bytes as a disk is added: parts with data, and the holes between them.
func streamed(size int64, data map[int64][]byte) (root Hash, added int64) {
	var r Root
	spans := map[int64]bool{}
	for n := range data {
		spans[n/Fanout] = true
	}
	for _, s := range slices.Sorted(maps.Keys(spans)) {
		r.AddZeros(s*Span - r.Size())
		part := make([]byte, min(Span, size-s*Span))
		for n := int64(0); n < Fanout; n++ {
			if block := data[s*Fanout+n]; block != nil {
				copy(part[n*BlockSize:], block)
			}
		}
		r.Add(int64(len(part)), Digests(size, part))
	}
	r.AddZeros(size - r.Size())
	return r.Sum(), r.Size()
}

// Disks of any size have the root of their bytes, though holes of terabytes are never read.
func TestSparse(t *testing.T) {
	const gib = 1 << 30
	for _, size := range []int64{5 * Span, 64 * gib, 64*gib + 1, 64*gib + BlockSize, 100*gib + 3*BlockSize + 5, 1 << 40, 5<<40 + 3*Span, 1 << 53} {
		for _, blocks := range []int{0, 1, 40} {
			r, data := rand.New(rand.NewPCG(uint64(size), uint64(blocks))), map[int64][]byte{}
			for i := range blocks {
				n := r.Int64N((size + BlockSize - 1) / BlockSize)
				if i == 1 {
					n = (size - 1) / BlockSize // the last one
				}
				data[n] = fmt.Appendf(nil, "%d", n)[:min(6, size-n*BlockSize)]
			}
			got, added := streamed(size, data)
			if want := sparseRoot(size, data); got != want || added != size {
				t.Errorf("%d bytes, %d blocks: root %x of %d bytes, want %x", size, len(data), got, added, want)
			}
		}
	}
}

// The reference is right where all bytes can be hashed.
func TestSparseIsPlain(t *testing.T) {
	for _, size := range sizes[1 : len(sizes)-4] {
		content, data := noise(size), map[int64][]byte{}
		for n := int64(0); n*BlockSize < size; n += 3 {
			data[n] = content[n*BlockSize : min(size, (n+1)*BlockSize)]
		}
		for n := range content {
			if int64(n)/BlockSize%3 != 0 {
				content[n] = 0
			}
		}
		if got, want := sparseRoot(size, data), plain(content); got != want {
			t.Errorf("%d bytes: %x, want %x", size, got, want)
		}
	}
}

// The size of a hash device is that of its levels, however many there are.
func TestDeviceSize(t *testing.T) {
	for size, blocks := range map[int64]int64{
		BlockSize: 1, 2 * BlockSize: 2, 64 << 30: 1 + 131072 + 1024 + 8 + 1, 64<<30 + BlockSize: 1 + 131073 + 1025 + 9 + 1, 1 << 40: 1 + 2097152 + 16384 + 128 + 1,
	} {
		if got := DeviceSize(size); got != blocks*BlockSize {
			t.Errorf("%d bytes: a device of %d bytes, want %d blocks", size, got, blocks)
		}
	}
}
