package stream

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// direct opens a file for direct writes; nil if its file system has none.
func direct(f *os.File) *os.File {
	d, err := os.OpenFile(f.Name(), os.O_WRONLY|unix.O_DIRECT, 0)
	if err != nil {
		return nil
	}
	return d
}

// Contents in pieces of their own, in shared ones, across pieces, and with ends off every block are written, directly or not, and have their digest.
func TestDirect(t *testing.T) {
	for _, size := range []int64{12 * PieceSize, 12*PieceSize - 512} {
		d := disk(t, size)
		if d.Direct = direct(d.File); d.Direct == nil {
			t.Skip("no direct writes here")
		}
		defer d.Direct.Close()
		want, jobs := make([]byte, size), []Job(nil)
		for i, at := range []int64{0, PieceSize, 5*PieceSize/2 + 512, 5 * PieceSize, 10*PieceSize + 100, 9*PieceSize + 100, 11*PieceSize + 4096} {
			b := &noise{size: []int64{PieceSize, PieceSize + 5000, PieceSize, 3*PieceSize + 1, PieceSize / 2, PieceSize, PieceSize - 4096 - 600}[i], seed: byte(i)}
			b.data = []tree.Range{{Off: 0, Len: b.size / 4}, {Off: b.size / 2, Len: b.size - b.size/2}} // so that zeros are found
			copy(want[at:], b.bytes())
			d.Digest.Expect(at, b.size)
			whole := []extent.Extent{{Off: at, Len: b.size, Blob: b}}
			jobs = append(jobs, Job{Run: func(_ context.Context, w *Worker) error {
				return w.Copy(b, To{Places: whole, Grain: 1})
			}})
		}
		if err := d.Run(context.Background(), jobs); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(d.File.Name())
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: the disk has other bytes, %v", size, err)
		}
		if d.Digest.Sum() != digestOf(want) {
			t.Errorf("%d bytes: the digest is not that of the disk", size)
		}
		if d.cached.Load() {
			t.Errorf("%d bytes: direct writes were refused", size)
		}
		if n := len(d.Digest.parts); n > 0 {
			t.Errorf("%d bytes: the leaves of %d pieces are kept", size, n)
		}
	}
}

// An error of a write that nobody waits for ends the run.
func TestDirectFails(t *testing.T) {
	d := disk(t, 64*PieceSize)
	var err error
	if d.Direct, err = os.Open(d.File.Name()); err != nil {
		t.Fatal(err)
	}
	defer d.Direct.Close()
	b := &noise{size: d.Size}
	d.Digest.Expect(0, b.size)
	err = d.Run(context.Background(), []Job{{Run: func(_ context.Context, w *Worker) error {
		return w.Copy(b, To{Places: []extent.Extent{{Len: b.size, Blob: b}}, Grain: 4096})
	}}})
	if !errors.Is(err, unix.EBADF) {
		t.Errorf("the run ended with %v", err)
	}
}

// Where a file system refuses direct writes, they go through the page cache.
func TestDirectRefused(t *testing.T) {
	d := disk(t, PieceSize)
	if d.Direct = direct(d.File); d.Direct == nil {
		t.Skip("no direct writes here")
	}
	defer d.Direct.Close()
	p := []byte("not a block, at no block")
	if _, err := d.Direct.WriteAt(p, 7); !errors.Is(err, unix.EINVAL) {
		t.Skipf("this one refuses nothing: %v", err)
	}
	for range 2 {
		if err := d.writeDirect(p, 7); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, len(p))
	if _, err := d.File.ReadAt(got, 7); err != nil || !bytes.Equal(got, p) || !d.cached.Load() {
		t.Errorf("got %q, %v, cached %v", got, err, d.cached.Load())
	}
}
