package verity

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// sizes are around every change of the tree's shape, up to three levels.
var sizes = []int64{0, 1, 4095, 4096, 4097, 8192, Span - 1, Span, Span + 1, 2*Span + 4096, 128*Span - 1, 128 * Span, 128*Span + 1, 130*Span + 5}

func noise(size int64) []byte {
	r := rand.NewChaCha8([32]byte{byte(size)})
	b := make([]byte, size)
	r.Read(b)
	return b
}

// plain computes the root level by level, as the documentation says it.
func plain(data []byte) Hash {
	if len(data) == 0 {
		return Hash{}
	}
	for {
		var above []byte
		for len(data) > 0 {
			var block [BlockSize]byte
			n := copy(block[:], data)
			data = data[n:]
			sum := sha256.Sum256(block[:])
			above = append(above, sum[:]...)
		}
		if len(above) == sha256.Size {
			return Hash(above)
		}
		data = above
	}
}

func rootOf(data []byte) Hash {
	var r Root
	total := int64(len(data))
	for len(data) > 0 {
		part := data[:min(len(data), 8*Span)]
		r.Add(int64(len(part)), Digests(total, part))
		data = data[len(part):]
	}
	return r.Sum()
}

func TestRoot(t *testing.T) {
	for _, size := range sizes {
		data := noise(size)
		if got, want := rootOf(data), plain(data); got != want {
			t.Errorf("%d bytes: root %x, want %x", size, got, want)
		}
	}
}

// Holes have the tree of the zeros that they read as, wherever they begin and end.
func TestHoles(t *testing.T) {
	for _, size := range sizes {
		var hole Root
		hole.AddZeros(size)
		if got, want := hole.Sum(), plain(make([]byte, size)); got != want || hole.Size() != size {
			t.Errorf("%d zeros: root %x, want %x", size, got, want)
		}
		var mixed Root
		data := append(noise(3*Span), make([]byte, size/Span*Span)...)
		data = append(data, noise(Span+7)...)
		mixed.Add(3*Span, Digests(int64(len(data)), data[:3*Span]))
		mixed.AddZeros(size / Span * Span)
		mixed.Add(Span+7, Digests(int64(len(data)), data[len(data)-Span-7:]))
		if got, want := mixed.Sum(), plain(data); got != want {
			t.Errorf("%d zeros between data: root %x, want %x", size/Span*Span, got, want)
		}
	}
}

// A hole of any size takes no time.
func TestHugeHole(t *testing.T) {
	var r Root
	r.AddZeros(1<<62 + 12345)
	if r.Sum() == (Hash{}) || r.Size() != 1<<62+12345 {
		t.Error("no root")
	}
}

// fsverity-utils and cryptsetup compute the same digests.
func TestForeignTools(t *testing.T) {
	hosttest.Need(t, "fsverity", "veritysetup")
	dir := t.TempDir()
	for _, size := range sizes {
		data := noise(size)
		file := filepath.Join(dir, fmt.Sprint(size))
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		root := rootOf(data)
		want, _, _ := strings.Cut(hosttest.Run(t, "fsverity", "digest", file), " ")
		if got := Measure(size, root).String(); got != "fsverity-"+want {
			t.Errorf("%d bytes: %s, fsverity says %s", size, got, want)
		}
		if size > 0 && size%BlockSize == 0 {
			out := hosttest.Run(t, "veritysetup", "format", "--salt=-", file, file+".hash")
			if !strings.Contains(out, fmt.Sprintf("%x\n", root)) {
				t.Errorf("%d bytes: root %x, veritysetup says:\n%s", size, root, out)
			}
		}
	}
}

// Whatever is added in whatever parts has the root of the whole.
func FuzzRoot(f *testing.F) {
	f.Add(uint64(1), uint16(3))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16) {
		r := rand.New(rand.NewPCG(seed, 1))
		var root Root
		var whole []byte
		for range n % 4 {
			part := make([]byte, Span*(r.IntN(3)+1))
			if r.IntN(2) == 0 {
				part[r.IntN(len(part))] = 1
				root.Add(int64(len(part)), Digests(1<<40, part))
			} else {
				root.AddZeros(int64(len(part)))
			}
			whole = append(whole, part...)
		}
		last := make([]byte, BlockSize+r.IntN(Span-BlockSize))
		root.Add(int64(len(last)), Digests(1<<40, last))
		if whole = append(whole, last...); root.Sum() != plain(whole) {
			t.Errorf("%d bytes", len(whole))
		}
	})
}

func BenchmarkDigests(b *testing.B) {
	data := noise(4 << 20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		Digests(int64(len(data)), data)
	}
}

// BenchmarkOneSum is what a single hash over the same bytes takes.
func BenchmarkOneSum(b *testing.B) {
	data := noise(4 << 20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		sha256.Sum256(data)
	}
}
