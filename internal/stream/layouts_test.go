package stream

import (
	"bytes"
	"context"
	"io"
	"math/rand"
	"os"
	"slices"
	"sync"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/sha256pair"
	"imprint/internal/tree"
	"imprint/internal/verity"

	"pgregory.net/rapid"
)

// text has bytes that look random, and some long zeros.
var text = sync.OnceValue(func() string {
	p := make([]byte, 12<<20)
	rand.New(rand.NewSource(1)).Read(p)
	for off := 300 << 10; off < len(p); off += 1700 << 10 {
		clear(p[off:min(off+200<<10, len(p))])
	}
	return string(p)
})

// A layout is what two runs write to a disk: contents that lie anywhere.
type layout struct {
	want   []byte
	middle int64 // the first run writes before it, the second one after it
	jobs   [2][]Job
	places []extent.Extent
}

// layoutOf makes jobs of contents that lie at multiples of grain, several of them in each job, in any order.
func layoutOf(t *rapid.T, grain int64) *layout {
	l := &layout{}
	size := rapid.OneOf(rapid.Int64Range(1, 9000), rapid.Int64Range(1, 400<<10), rapid.Int64Range(1, 6<<20))
	end := grain * rapid.Int64Range(0, 3000).Draw(t, "start")
	place := func(at int64, b tree.Blob) []extent.Extent {
		end = max(end, at)
		e := extent.Extent{Off: end, Len: b.Size(), Blob: b}
		l.places, end = append(l.places, e), end+(e.Len+grain-1)/grain*grain
		return []extent.Extent{e}
	}
	for run := range l.jobs {
		if run == 1 {
			l.middle = end
		}
		var batch []func(*Worker) error
		for range rapid.IntRange(0, 8).Draw(t, "contents") {
			n := size.Draw(t, "size")
			from := rapid.Int64Range(0, int64(len(text()))-n).Draw(t, "from")
			b := tree.Text(text()[from : from+n])
			to := place(end+grain*rapid.SampledFrom([]int64{0, 0, 1, 7, 1 << 20 / grain}).Draw(t, "gap"), b)
			further := []extent.Extent(nil)
			if rapid.IntRange(0, 4).Draw(t, "twice") == 0 {
				further = place(end, b)
			}
			batch = append(batch, func(w *Worker) error { return w.Copy(b, To{to, further, grain, sha256pair.New()}) })
			if rapid.Bool().Draw(t, "generated") && further == nil {
				batch[len(batch)-1] = func(w *Worker) error { return w.Fill(to, grain) }
			}
		}
		for batch = rapid.Permutation(batch).Draw(t, "order"); len(batch) > 0; {
			n := rapid.IntRange(1, len(batch)).Draw(t, "batch")
			part := batch[:n]
			batch = batch[n:]
			l.jobs[run] = append(l.jobs[run], Job{Run: func(_ context.Context, w *Worker) error {
				for _, do := range part {
					if err := do(w); err != nil {
						return err
					}
				}
				return nil
			}})
		}
	}
	l.want = make([]byte, end+rapid.SampledFrom([]int64{0, 512, 4096, PieceSize}).Draw(t, "tail"))
	for _, e := range l.places {
		r, _ := e.Blob.Open()
		r.ReadAt(l.want[e.Off:e.Off+e.Len], e.At)
	}
	return l
}

// Wherever contents lie, two runs write them as they are, past the page cache or not, and so are the digests, the leaves of what the first run has
// written, and the pieces that are passed on.
func TestLayouts(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		l := layoutOf(t, rapid.SampledFrom([]int64{1, 512, 2048, 4096}).Draw(t, "grain"))
		d := diskFor(t, int64(len(l.want)))
		defer d.close()
		passed := map[int64][]byte{}
		if rapid.Bool().Draw(t, "passed on") {
			var mu sync.Mutex
			d.Digest.Take = func(piece int64, content []byte) error {
				mu.Lock()
				defer mu.Unlock()
				if passed[piece] != nil {
					t.Errorf("piece %d is passed on twice", piece)
				}
				passed[piece] = slices.Clone(content)
				return nil
			}
		}
		d.Digest.NoSums = rapid.IntRange(0, 3).Draw(t, "sums") == 0
		for _, e := range l.places {
			d.Expect(e.Off, e.Len)
		}
		if !d.Digest.NoSums {
			d.Digest.Keep(0, l.middle)
		}
		if err := d.Run(context.Background(), l.jobs[0]); err != nil {
			t.Fatal(err)
		}
		if !d.Digest.NoSums {
			leaves, want := make([]verity.Hash, verity.Count(l.middle)), l.want[:l.middle]
			verity.Leaves(want, leaves)
			if got, err := d.Digest.Leaves(0, l.middle, d.File); err != nil || !slices.Equal(got, leaves) {
				t.Errorf("the first run has other leaves, %v", err)
			}
		}
		if err := d.Run(context.Background(), l.jobs[1]); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, d.Size+1)
		if n, err := d.File.ReadAt(got, 0); err != io.EOF || !bytes.Equal(got[:n], l.want) {
			t.Errorf("the disk has %d other bytes, %v", n, err)
		}
		if !d.Digest.NoSums && d.Digest.Sum() != digestOf(l.want) {
			t.Error("the digest is not that of the disk")
		}
		if n := len(d.Digest.parts); n > 0 {
			t.Errorf("the leaves of %d pieces are kept", n)
		}
		for piece := range int64(len(d.Digest.sums)) {
			off := piece * PieceSize
			if d.Digest.Take != nil && !d.Digest.Hole(piece) && !bytes.Equal(passed[piece], l.want[off:min(off+PieceSize, d.Size)]) {
				t.Errorf("piece %d is passed on with other bytes", piece)
			}
		}
	})
}

// close closes the files of a disk.
func (d *Disk) close() {
	for _, f := range []*os.File{d.File, d.Direct} {
		if f != nil {
			f.Close()
		}
	}
}
