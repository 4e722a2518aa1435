package sha256pair

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"testing"
)

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// Writes of any lengths, with and without blocks, have the sums of the standard library.
func check(t *testing.T, content []byte, lengths []byte) {
	h, want := New(), sha256.New()
	for i, n := range lengths {
		if n&1 != 0 {
			k := min(int(n>>1), len(content)) // bytes
			h.Write(content[:k])
			want.Write(content[:k])
			content = content[k:]
			continue
		}
		k := min(int(n>>1)%5, len(content)/BlockSize) // blocks
		part := content[:k*BlockSize]
		content = content[k*BlockSize:]
		sums := make([][sha256.Size]byte, k)
		h.WriteBlocks(part, sums)
		want.Write(part)
		alone := make([][sha256.Size]byte, k)
		Blocks(part, alone)
		for b := range sums {
			if one := sha256.Sum256(part[b*BlockSize:][:BlockSize]); sums[b] != one || alone[b] != one {
				t.Fatalf("write %d, block %d: %x and %x, want %x", i, b, sums[b], alone[b], one)
			}
		}
		if got := h.Sum([]byte("x")); !bytes.Equal(got, want.Sum([]byte("x"))) {
			t.Fatalf("after write %d: %x", i, got)
		}
	}
	if got := h.Sum(nil); !bytes.Equal(got, want.Sum(nil)) {
		t.Fatalf("at the end: %x", got)
	}
	h.Reset()
	if got, none := h.Sum(nil), sha256.Sum256(nil); !bytes.Equal(got, none[:]) {
		t.Fatalf("after a reset: %x", got)
	}
}

func TestHash(t *testing.T) {
	if !native {
		t.Log("without SHA extensions")
	}
	content := noise(1 << 20)
	for first := range 130 { // every length of the first chunk
		check(t, content, []byte{byte(first)<<1 | 1, 4, 2, 255, 8})
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		lengths := make([]byte, r.IntN(40))
		for i := range lengths {
			lengths[i] = byte(r.Uint32())
		}
		check(t, content, lengths)
	}
}

func FuzzHash(f *testing.F) {
	content := noise(128 << 10)
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, lengths []byte) { check(t, content, lengths[:min(len(lengths), 64)]) })
}

// BenchmarkBoth hashes a stream and its blocks: at once, and one after the other.
func BenchmarkBoth(b *testing.B) {
	p := noise(64 << 10)
	sums := make([][sha256.Size]byte, len(p)/BlockSize)
	b.Run("pair", func(b *testing.B) {
		b.SetBytes(int64(len(p)))
		h := New()
		h.Write([]byte("x"))
		for b.Loop() {
			h.WriteBlocks(p, sums)
		}
	})
	b.Run("apart", func(b *testing.B) {
		b.SetBytes(int64(len(p)))
		h := sha256.New()
		h.Write([]byte("x"))
		for b.Loop() {
			h.Write(p)
			for i := range sums {
				sums[i] = sha256.Sum256(p[i*BlockSize:][:BlockSize])
			}
		}
	})
	b.Run("blocks", func(b *testing.B) {
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			Blocks(p, sums)
		}
	})
	b.Run("stream", func(b *testing.B) {
		b.SetBytes(int64(len(p)))
		h := New()
		for b.Loop() {
			h.Write(p)
		}
	})
}

// Two hashes that get the same bytes have the sums of the standard library, whatever came before.
func TestWriteBoth(t *testing.T) {
	content := noise(10_000)
	for before := range 200 {
		for _, other := range []int{0, 64, before, before + 1} {
			g, h := New(), New()
			g.Write(content[:before])
			h.Write(content[:other])
			for _, n := range []int{before, 0, 1, 63, 64, 65, 640, 4096} {
				WriteBoth(g, h, content[:n])
			}
			alone := func(n int) []byte {
				w := sha256.New()
				w.Write(content[:n])
				for _, n := range []int{before, 0, 1, 63, 64, 65, 640, 4096} {
					w.Write(content[:n])
				}
				return w.Sum(nil)
			}
			if !bytes.Equal(g.Sum(nil), alone(before)) || !bytes.Equal(h.Sum(nil), alone(other)) {
				t.Fatalf("after %d and %d bytes", before, other)
			}
		}
	}
}
