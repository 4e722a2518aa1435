package restore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/stream"
	"imprint/internal/tree"

	"pgregory.net/rapid"
)

func sum(t testing.TB, p []byte) string {
	t.Helper()
	n := int64(len(p))
	s := stream.NewPieces(n)
	s.Expect(0, n)
	if err := s.Made(0, n, bytes.NewReader(p)); err != nil {
		t.Fatal(err)
	}
	return s.Sum().String()
}

// disk returns a disk of some texts at offsets, and its bytes.
func disk(size int64, texts map[int64]string) (Disk, []byte) {
	p := make([]byte, size)
	var list extent.List
	for off, text := range texts {
		list = append(list, extent.Extent{Off: off, Len: int64(len(text)), Blob: tree.Text(text)})
		copy(p[off:], text)
	}
	list.Sort(size)
	return Disk{size, list}, p
}

func dataOf(d Disk) (list []tree.Range) {
	for e := range d.Source.Extents(0) {
		list = append(list, tree.Range{Off: e.Off, Len: e.Len})
	}
	return list
}

func TestWhole(t *testing.T) {
	for _, size := range []int64{4000, 4096, 1 << 20, 9<<20 + 512} {
		d, want := disk(size, map[int64]string{0: "front", size / 2: "middle", size - 3: "end"})
		got, mu := make([]byte, size), sync.Mutex{}
		sums, err := d.Whole(t.Context(), dataOf(d), func(piece int64, p []byte) error {
			mu.Lock()
			defer mu.Unlock()
			copy(got[piece*Piece:], p)
			return nil
		})
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: %v, or other bytes", size, err)
		}
		if got := sums.Measure(size); got != sum(t, want) {
			t.Errorf("%d bytes have the digest %s", size, got)
		}
		for _, r := range []tree.Range{{Off: 0, Len: size}, {Off: size / 2, Len: size / 4}, {Off: 0, Len: size / 4}} {
			if got, err := sums.MeasurePart(d, r.Off, r.Len); err != nil || got != sum(t, want[r.Off:r.End()]) {
				t.Errorf("%v of %d bytes has the digest %s, %v", r, size, got, err)
			}
		}
	}
}

// An update gives the bytes and the digest of the new disk, whatever the sizes are, and again when it is repeated.
func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	hosttest.Check(t, func(t *rapid.T) {
		sizes := rapid.SampledFrom([]int64{3000, 600_000, 1 << 20, 1<<20 + 512, 2 << 20})
		texts := func(size int64) map[int64]string {
			m := map[int64]string{}
			for off := int64(0); off+9000 < size; off += 9000 * rapid.Int64Range(1, 60).Draw(t, "step") {
				m[off] = string(bytes.Repeat([]byte{byte(rapid.IntRange(0, 3).Draw(t, "byte"))}, rapid.IntRange(1, 9000).Draw(t, "length")))
			}
			return m
		}
		oldSize, size := sizes.Draw(t, "old"), sizes.Draw(t, "new")
		old, oldBytes := disk(oldSize, texts(oldSize))
		d, want := disk(size, texts(size))
		var changed []tree.Range
		for off := int64(0); off < size; off += 512 {
			end := min(off+512, size)
			before := make([]byte, end-off)
			if off < oldSize {
				copy(before, oldBytes[off:])
			}
			if !bytes.Equal(before, want[off:end]) {
				changed = append(changed, tree.Range{Off: off, Len: end - off})
			}
		}
		known, err := old.Whole(context.Background(), dataOf(old), func(int64, []byte) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, "disk")
		os.WriteFile(name, oldBytes, 0o600)
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		f.Truncate(size)
		for again := range 2 {
			sums, written, err := d.Update(context.Background(), Known{oldSize, known}, changed, f)
			if err != nil || sums.Measure(size) != sum(&testing.T{}, want) {
				t.Fatalf("%v, or another digest", err)
			}
			if again == 1 && written != 0 {
				t.Errorf("%d bytes are written again", written)
			}
			if got, _ := os.ReadFile(name); !bytes.Equal(got, want) {
				t.Fatal("other bytes")
			}
		}
	})
}

// A content that cannot be read ends everything with its error.
func TestUnreadable(t *testing.T) {
	broken := errors.New("broken")
	d := Disk{64 << 20, extent.List{{Len: 64 << 20, Blob: failing{64 << 20, broken}}}}
	if _, err := d.Whole(t.Context(), dataOf(d), func(int64, []byte) error { return nil }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	fine, _ := disk(64<<20, map[int64]string{0: "a", 20 << 20: "b", 40 << 20: "c"})
	if _, err := fine.Whole(t.Context(), dataOf(fine), func(int64, []byte) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	if _, err := fine.Whole(ctx, dataOf(fine), func(int64, []byte) error { return nil }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failing struct {
	size int64
	err  error
}

func (f failing) Size() int64                       { return f.size }
func (f failing) Open() (tree.Reader, error)        { return f, nil }
func (f failing) Close() error                      { return nil }
func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	from, _ := os.Create(filepath.Join(dir, "from"))
	from.WriteAt([]byte("data"), 1<<20)
	from.Truncate(3 << 20)
	to, _ := os.Create(filepath.Join(dir, "to"))
	if err := Copy(t.Context(), to, from, 3<<20); err != nil {
		t.Fatal(err)
	}
	a, _ := io.ReadAll(io.NewSectionReader(from, 0, 4<<20))
	b, _ := io.ReadAll(io.NewSectionReader(to, 0, 4<<20))
	if !bytes.Equal(a, b) {
		t.Error("the copy differs")
	}
}
