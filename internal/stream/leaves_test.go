package stream

import (
	"bytes"
	"crypto/sha256"
	"io"
	"slices"
	"testing"

	"imprint/internal/sha256pair"
	"imprint/internal/verity"
)

// Contents that begin and end anywhere in a piece have the leaves that the whole piece has, and the hash of the stream.
func TestLeaves(t *testing.T) {
	const size = 9*verity.BlockSize + 17
	piece := (&noise{size: size}).bytes()
	want := make([]verity.Hash, verity.Count(size))
	verity.Leaves(piece, want)
	for _, cuts := range [][]int64{
		{0, size}, {1, size}, {0, 4096, 8192, size}, {0, 4095, 4097, size}, {5000, 9000, 20000}, {100, 200, 300}, {8192, 12288}, {},
	} {
		var l leaves
		for range 2 { // the second time after forgetting
			for _, h := range []io.Writer{sha256pair.New(), sha256.New()} {
				for i := range max(0, len(cuts)-1) {
					if err := l.write(h, piece[cuts[i]:cuts[i+1]], cuts[i]); err != nil {
						t.Fatal(err)
					}
				}
				if n := len(cuts); n > 0 {
					sum := sha256.Sum256(piece[cuts[0]:cuts[n-1]])
					if got := h.(interface{ Sum([]byte) []byte }).Sum(nil); !bytes.Equal(got, sum[:]) {
						t.Errorf("%v: the hash of the stream is %x", cuts, got)
					}
				}
			}
			if got := l.complete(piece); !slices.Equal(got, want) {
				t.Errorf("%v: other leaves", cuts)
			}
			l.forget()
			clear(l.list[:])
		}
	}
}
