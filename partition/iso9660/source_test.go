package iso9660

import (
	"bytes"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

// Extents from any offset are those of the whole that end after it, except where structure is divided, and have the same bytes.
func TestExtentsFrom(t *testing.T) {
	p := plan(t, all(t, minTime, maxTime), bootlessOptions())
	image, err := os.ReadFile(write(t, p))
	if err != nil {
		t.Fatal(err)
	}
	whole := slices.Collect(p.Extents(0))
	meta := 0
	for _, e := range whole {
		if e.Meta {
			meta++
		}
	}
	if meta < 8 {
		t.Errorf("structure is in %d extents: too few workers can make it", meta)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		off := r.Int64N(p.Size() + 10)
		first := slices.IndexFunc(whole, func(e extent.Extent) bool { return e.End() > off })
		for e := range p.Extents(off) {
			if first < 0 || e.Off != whole[first].Off || e.Len != whole[first].Len || e.At != whole[first].At {
				t.Fatalf("from %d the first extent is %+v, not %+v", off, e, whole[first])
			}
			break
		}
		b := make([]byte, r.Int64N(5000))
		if n, _ := partitiontest.Image(p).ReadAt(b, off); !bytes.Equal(b[:n], image[min(off, p.Size()):min(off+int64(len(b)), p.Size())]) {
			t.Fatalf("%d bytes at %d differ", n, off)
		}
	}
}

func bootlessOptions() Options {
	o := testOptions()
	o.PartitionOffset = 512
	return o
}

// Two plans of one tree have the same bytes, in whatever order extents are read.
func TestReproducible(t *testing.T) {
	first, err := os.ReadFile(write(t, plan(t, all(t, 0, maxTime), testOptions())))
	if err != nil {
		t.Fatal(err)
	}
	p := plan(t, all(t, 0, maxTime), testOptions())
	extents := slices.Collect(p.Extents(0))
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(extents), func(i, j int) { extents[i], extents[j] = extents[j], extents[i] })
	image := make([]byte, p.Size())
	var wait sync.WaitGroup
	for w := range 8 {
		wait.Go(func() {
			for i := w; i < len(extents); i += 8 {
				e := extents[i]
				r, _ := e.Blob.Open()
				if n, err := r.ReadAt(image[e.Off:e.End()], e.At); int64(n) < e.Len {
					t.Errorf("%d of %d bytes at %d: %v", n, e.Len, e.Off, err)
				}
			}
		})
	}
	wait.Wait()
	if !bytes.Equal(first, image) {
		t.Error("the bytes differ")
	}
}

// Place and Extents agree about contents.
func TestPlace(t *testing.T) {
	tr := all(t, 0, maxTime)
	p := plan(t, tr, testOptions())
	placed := map[extent.Extent]bool{}
	for n := range tr.Nodes() {
		for _, e := range p.Place(nil, n) {
			placed[extent.Extent{Off: e.Off, Len: e.Len, At: e.At}] = true
		}
	}
	found := 0
	for e := range p.Extents(0) {
		if !e.Meta {
			found++
			if !placed[extent.Extent{Off: e.Off, Len: e.Len, At: e.At}] {
				t.Errorf("extent at %d is not placed", e.Off)
			}
		}
	}
	if found != len(placed) {
		t.Errorf("%d extents, %d are placed", found, len(placed))
	}
	if got := p.Place(nil, tr.Find("/sparse")); len(got) != 2 || got[1].At != 20_000 || got[1].Len != 1000 || got[1].Off-got[0].Off != 14_000 {
		t.Errorf("the sparse file is placed as %+v", got)
	}
	if got := p.Place(nil, tr.Find("/empty")); got != nil {
		t.Errorf("the empty file is placed as %+v", got)
	}
}

func BenchmarkNew(b *testing.B) {
	partitiontest.BenchmarkPlan(b, func(t *tree.Tree) (*Plan, error) { return New(t, testOptions()) })
}

func BenchmarkMetadata(b *testing.B) {
	partitiontest.BenchmarkMetadata(b, plan(b, partitiontest.StoreTree(b, 50_000), testOptions()))
}

func BenchmarkRead(b *testing.B) {
	p := plan(b, partitiontest.StoreTree(b, 50_000), testOptions())
	image := make([]byte, p.files*block)
	if err := extent.ReadAt(p, image, 0); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(bytes.NewReader(image), p.Size()); err != nil {
			b.Fatal(err)
		}
	}
}
