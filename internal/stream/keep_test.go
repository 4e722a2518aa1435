package stream

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/verity"
)

// The digests of a range are those of its bytes, wherever it begins and whatever of its pieces is complete; two runs write one disk.
func TestLeavesOfRanges(t *testing.T) {
	const size = 5*PieceSize + 12*verity.BlockSize
	content := &noise{size: 3 * PieceSize}
	late := &noise{size: verity.BlockSize}
	places := []extent.Extent{{Off: PieceSize - 8*verity.BlockSize, Len: content.size, Blob: content}}
	for _, c := range []struct{ off, n int64 }{
		{0, size}, {PieceSize - 8*verity.BlockSize, 3 * PieceSize}, {PieceSize, 2 * PieceSize}, {PieceSize - 512, 2*PieceSize + verity.BlockSize}, {4 * PieceSize, PieceSize},
	} {
		file, err := os.Create(filepath.Join(t.TempDir(), "disk"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := file.Truncate(size); err != nil {
			t.Fatal(err)
		}
		disk := &Disk{Volume: Volume{File: file, Size: size, Digest: NewPieces(size)}}
		later := NewPieces(size)
		disk.Expect(places[0].Off, places[0].Len)
		later.Expect(0, late.size)
		disk.Digest.Add(later)
		disk.Digest.Keep(c.off, c.n)
		copies := func(b *noise, to []extent.Extent) []Job {
			return []Job{{Run: func(_ context.Context, w *Worker) error { return w.Copy(b, To{Places: to, Grain: 1}) }}}
		}
		if err := disk.Run(t.Context(), copies(content, places)); err != nil {
			t.Fatal(err)
		}
		got, err := disk.Digest.Leaves(c.off, c.n, file)
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, c.n)
		if _, err := file.ReadAt(data, c.off); err != nil {
			t.Fatal(err)
		}
		want := make([]verity.Hash, verity.Count(c.n))
		if verity.Leaves(data, want); !slices.Equal(got, want) {
			t.Errorf("the digests of %d bytes at %d differ", c.n, c.off)
		}
		if err := disk.Run(t.Context(), copies(late, []extent.Extent{{Len: late.size, Blob: late}})); err != nil {
			t.Fatal(err)
		}
		whole := make([]byte, size)
		if _, err := file.ReadAt(whole, 0); err != nil {
			t.Fatal(err)
		}
		var root verity.Root
		root.Add(size, verity.Digests(size, whole))
		if disk.Digest.Sum() != verity.Measure(size, root.Sum()) {
			t.Error("the measurement of the disk is another")
		}
	}
}

// Counts of announced bytes are compared.
func TestSame(t *testing.T) {
	a, b := NewPieces(3*PieceSize), NewPieces(3*PieceSize)
	a.Expect(PieceSize-1, 2)
	b.Expect(0, 1)
	if a.Same(b) {
		t.Error("different counts are the same")
	}
	b.Expect(PieceSize, 1)
	if !a.Same(b) {
		t.Error("equal counts are not the same")
	}
}
