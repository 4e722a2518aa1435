package stream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/sha256pair"
	"imprint/internal/tree"
	"imprint/internal/verity"

	"pgregory.net/rapid"
)

// noise is a blob of bytes that look random, sparse where a page is all zero.
type noise struct {
	size  int64
	seed  byte
	data  []tree.Range
	grown int64 // bytes that can be read after size
}

func (n *noise) Size() int64                { return n.size }
func (n *noise) Open() (tree.Reader, error) { return n, nil }
func (n *noise) Close() error               { return nil }
func (n *noise) HostPath() string           { return "/host/noise" }

func (n *noise) Data() []tree.Range {
	if n.data == nil {
		return []tree.Range{{Off: 0, Len: n.size}}
	}
	return n.data
}

func (n *noise) ReadAt(p []byte, off int64) (int, error) {
	k := max(0, min(int64(len(p)), n.size+n.grown-off))
	for i := range p[:k] {
		p[i] = n.at(off + int64(i))
	}
	if k < int64(len(p)) {
		return int(k), io.EOF
	}
	return int(k), nil
}

func (n *noise) at(off int64) byte {
	for _, d := range n.Data() {
		if d.Off <= off && off < d.Off+d.Len {
			return byte(off*7) ^ byte(off>>8) ^ n.seed | 1
		}
	}
	return 0
}

func (n *noise) bytes() []byte {
	p := make([]byte, n.size)
	n.ReadAt(p, 0)
	return p
}

func disk(t testing.TB, size int64) *Disk {
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return &Disk{Volume: Volume{File: f, Size: size, Digest: NewPieces(size)}}
}

// digestOf returns the measurement of contents.
func digestOf(content []byte) verity.Measurement {
	var root verity.Root
	root.Add(int64(len(content)), verity.Digests(int64(len(content)), content))
	return verity.Measure(int64(len(content)), root.Sum())
}

// Blobs of all sizes at places in any order, some twice and some in parts, are written correctly, with the right hashes.
func TestCopy(t *testing.T) {
	const block = 4096
	hosttest.Check(t, func(t *rapid.T) {
		type work struct {
			blob        *noise
			first, more []extent.Extent
			sum         []byte
		}
		var works []*work
		end := int64(0)
		place := func(b *noise, off, n int64) extent.Extent {
			end = (end + block - 1) / block * block
			p := extent.Extent{Off: end, Len: n, Blob: b, At: off}
			end += n + block*rapid.Int64Range(0, 300).Draw(t, "gap")*rapid.Int64Range(0, 1).Draw(t, "apart")
			return p
		}
		for i := range rapid.IntRange(1, 12).Draw(t, "blobs") {
			b := &noise{size: rapid.OneOf(rapid.Int64Range(0, 9000), rapid.Int64Range(0, 6<<20)).Draw(t, "size"), seed: byte(i)}
			w := &work{blob: b}
			if b.size > 3*block && rapid.Bool().Draw(t, "sparse") {
				b.data = []tree.Range{{Off: block, Len: block}, {Off: 2 * block, Len: b.size - 2*block}}
			}
			for _, d := range tree.DataOf(b) {
				cut := min(d.Len, block*rapid.Int64Range(0, 3).Draw(t, "cut"))
				if cut > 0 && cut < d.Len {
					w.first = append(w.first, place(b, d.Off, cut))
					d = tree.Range{Off: d.Off + cut, Len: d.Len - cut}
				}
				w.first = append(w.first, place(b, d.Off, d.Len))
			}
			if rapid.Bool().Draw(t, "twice") && b.size > 0 {
				w.more = append(w.more, place(b, 0, b.size))
			}
			works = append(works, w)
		}
		d := diskFor(t, end+rapid.Int64Range(0, 5<<20).Draw(t, "tail"))
		defer d.close()
		want := make([]byte, d.Size)
		var jobs []Job
		for _, w := range works {
			for _, p := range append(slices.Clone(w.first), w.more...) {
				copy(want[p.Off:], w.blob.bytes()[p.At:p.At+p.Len])
				d.Digest.Expect(p.Off, p.Len)
			}
			jobs = append(jobs, Job{Cost: w.blob.size, Run: func(_ context.Context, k *Worker) error {
				h := sha256pair.New()
				err := k.Copy(w.blob, To{w.first, w.more, block, h})
				w.sum = h.Sum(nil)
				return err
			}})
		}
		if err := d.Run(context.Background(), jobs); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, d.Size)
		if _, err := d.File.ReadAt(got, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatal("the disk has other bytes than the places say")
		}
		if d.Digest.Sum() != digestOf(want) {
			t.Fatal("the digest is not that of the disk")
		}
		for i, w := range works {
			if sum := sha256.Sum256(w.blob.bytes()); !bytes.Equal(sum[:], w.sum) {
				t.Fatalf("blob %d was hashed wrongly", i)
			}
		}
	})
}

func diskFor(t *rapid.T, size int64) *Disk {
	f, err := os.CreateTemp("", "stream")
	if err != nil {
		t.Fatal(err)
	}
	d := &Disk{Volume: Volume{File: f, Size: size, Digest: NewPieces(size)}}
	if rapid.Bool().Draw(t, "direct") {
		d.Direct = direct(f)
	}
	os.Remove(f.Name())
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return d
}

// A source whose length has changed is an error that names it, wherever its end lies in a window.
func TestChangedSource(t *testing.T) {
	for _, size := range []int64{0, 1, 4096, PieceSize - 1, PieceSize, PieceSize + 1, 2 * PieceSize} {
		for _, change := range []int64{-1, 1} {
			if size+change < 0 {
				continue
			}
			b := &noise{size: size}
			place := extent.Extent{Len: size, Blob: b}
			d := disk(t, 4*PieceSize)
			d.Digest = nil
			err := d.Run(context.Background(), []Job{{Run: func(_ context.Context, w *Worker) error {
				b.grown = change
				return w.Copy(b, To{Places: []extent.Extent{place}, Grain: 4096, Hash: io.Discard})
			}}})
			if !errors.Is(err, ErrChanged) || !bytes.Contains([]byte(err.Error()), []byte("/host/noise")) {
				t.Errorf("size %d, changed by %d: %v", size, change, err)
			}
		}
	}
}

// The first error ends the run, and jobs after it do not start.
func TestErrorEndsTheRun(t *testing.T) {
	d := disk(t, PieceSize)
	wrong := errors.New("wrong")
	ran := 0
	jobs := []Job{{Cost: 100, Run: func(context.Context, *Worker) error { return wrong }}}
	for range 1000 {
		jobs = append(jobs, Job{Run: func(ctx context.Context, _ *Worker) error {
			<-ctx.Done()
			ran++
			return ctx.Err()
		}})
	}
	if err := d.Run(context.Background(), jobs); !errors.Is(err, wrong) {
		t.Errorf("the run ended with %v", err)
	}
	if ran > Most {
		t.Errorf("%d jobs ran after the error", ran)
	}
}

func TestCancel(t *testing.T) {
	d := disk(t, 1<<30)
	ctx, cancel := context.WithCancel(context.Background())
	b := &noise{size: 1 << 30}
	err := d.Run(ctx, []Job{{Run: func(_ context.Context, w *Worker) error {
		cancel()
		return w.Copy(b, To{Places: []extent.Extent{{Len: b.size, Blob: b}}, Grain: 4096})
	}}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the run ended with %v", err)
	}
	if n := d.Bytes.Load(); n > 64<<20 {
		t.Errorf("%d bytes were written after the end", n)
	}
}

// A disk without writes has the digest of zeros, known without reading.
func TestDigestOfHoles(t *testing.T) {
	for _, size := range []int64{0, 1, PieceSize, PieceSize + 1, 5*PieceSize - 7} {
		if got := NewPieces(size).Sum(); got != digestOf(make([]byte, size)) {
			t.Errorf("%d bytes: %v", size, got)
		}
	}
}

func TestMadeByOthers(t *testing.T) {
	d := disk(t, 3*PieceSize)
	content := (&noise{size: PieceSize + 5000}).bytes()
	d.Digest.Expect(1<<20, int64(len(content)))
	if _, err := d.File.WriteAt(content, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := d.Digest.Made(1<<20, int64(len(content)), d.File); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, d.Size)
	copy(want[1<<20:], content)
	if d.Digest.Sum() != digestOf(want) {
		t.Error("the digest is not that of the disk")
	}
}

// Any part of a disk is measured as a file of its bytes.
func TestSumOf(t *testing.T) {
	d := disk(t, 5*PieceSize+4096*3+17)
	content := (&noise{size: 2*PieceSize + 5000}).bytes()
	whole := make([]byte, d.Size)
	at := int64(PieceSize + 3*verity.Span)
	copy(whole[at:], content)
	d.Digest.Expect(at, int64(len(content)))
	if _, err := d.File.WriteAt(content, at); err != nil {
		t.Fatal(err)
	}
	if err := d.Digest.Made(at, int64(len(content)), d.File); err != nil {
		t.Fatal(err)
	}
	for _, part := range [][2]int64{
		{0, d.Size}, {0, 0}, {0, 1}, {at, 4096}, {0, PieceSize}, {verity.Span, 4 * PieceSize}, {at, int64(len(content))}, {512, 3 * PieceSize},
		{PieceSize, 4*PieceSize + 17}, {5 * PieceSize, 4096*3 + 17}, {3*verity.Span + 4096, d.Size - 3*verity.Span - 4096},
	} {
		got, err := d.Digest.SumOf(part[0], part[1], d.File)
		if want := digestOf(whole[part[0]:][:part[1]]); got != want || err != nil {
			t.Errorf("%d bytes at %d: %v, want %v, %v", part[1], part[0], got, want, err)
		}
	}
}

func ExamplePieces_Sum() {
	fmt.Println(NewPieces(0).Sum())
	// Output: fsverity-sha256:3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95
}

// Jobs begin with the most expensive; where pieces are passed on, in the order of the disk, after scattered and huge ones.
func TestSortJobs(t *testing.T) {
	jobs := []Job{{Cost: 5, At: 30}, {Cost: 9, At: 20}, {Cost: 1, At: 50, Scattered: true}, {Cost: hugeJob, At: 90}, {Cost: 7, At: 10}}
	for _, test := range []struct {
		passed bool
		want   []int64
	}{{false, []int64{90, 20, 10, 30, 50}}, {true, []int64{50, 90, 10, 20, 30}}} {
		sorted := slices.Clone(jobs)
		sortJobs(sorted, test.passed)
		for i, j := range sorted {
			if j.At != test.want[i] {
				t.Errorf("passed %v: job %d is at %d, want %d", test.passed, i, j.At, test.want[i])
			}
		}
	}
}
