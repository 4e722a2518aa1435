package iso9660

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// From every offset the extents are those of the whole that end after it, but for where structure is cut; and every byte is the same.
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
		if n, _ := (disk{p}).ReadAt(b, off); !bytes.Equal(b[:n], image[min(off, p.Size()):min(off+int64(len(b)), p.Size())]) {
			t.Fatalf("%d bytes at %d differ", n, off)
		}
	}
}

func bootlessOptions() Options {
	o := testOptions()
	o.PartitionOffset = 512
	return o
}

// Two plans of one tree are the same bytes, whoever makes which extent first.
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

// Where Place says that contents lie, Extents has them.
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

// zeros is content that costs nothing.
type zeros int64

func (z zeros) Size() int64 { return int64(z) }
func (z zeros) Open() (tree.Reader, error) {
	return extent.Generated(int64(z), func(p []byte, _ int64) { clear(p) }).Open()
}

// storeTree is a tree like a store's: of eleven nodes six or seven are files, three directories, two symlinks to other items.
func storeTree(t testing.TB, nodes int) *tree.Tree {
	t.Helper()
	b := tree.NewBuilder(plain)
	for i := 0; nodes > 0; i++ {
		var kids []*tree.Node
		for d := range 5 {
			var files []*tree.Node
			for k := range 12 {
				files = append(files, tree.NewFile(fmt.Sprintf("file-%d.so", k), plain, zeros((i*7919+k*104729)%70000)))
			}
			for k := range 4 {
				files = append(files, tree.NewSymlink(fmt.Sprintf("link-%d", k), plain, "/nix/store/00000000000000000000000000000000-some-name-1.2.3/lib/some-file"))
			}
			kids = append(kids, tree.NewDir(fmt.Sprintf("dir-%d", d), plain, files))
			nodes -= 17
		}
		if err := b.Add(fmt.Sprintf("/nix/store/%032d-item-%d", i, i), tree.NewDir("", plain, kids), ""); err != nil {
			t.Fatal(err)
		}
		nodes--
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func BenchmarkNew(b *testing.B) {
	for _, nodes := range []int{50_000, 1_000_000} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			tr := storeTree(b, nodes)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var p *Plan
			b.ReportAllocs()
			for b.Loop() {
				p = plan(b, tr, testOptions())
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(tr.Len()), "bytes/node")
			runtime.KeepAlive(p)
			runtime.KeepAlive(tr)
		})
	}
}

// BenchmarkMetadata makes all structure of an image, as writing it does.
func BenchmarkMetadata(b *testing.B) {
	p := plan(b, storeTree(b, 50_000), testOptions())
	buf := make([]byte, 1<<20)
	var bytes, extents int64
	b.ReportAllocs()
	for b.Loop() {
		bytes, extents = 0, 0
		for e := range p.Extents(0) {
			if extents++; !e.Meta {
				continue
			}
			r, _ := e.Blob.Open()
			for at := int64(0); at < e.Len; at += int64(len(buf)) {
				n, _ := r.ReadAt(buf[:min(int64(len(buf)), e.Len-at)], at)
				bytes += int64(n)
			}
		}
	}
	b.ReportMetric(float64(bytes)/1e6, "MB")
	b.ReportMetric(float64(extents), "extents")
}

func BenchmarkRead(b *testing.B) {
	p := plan(b, storeTree(b, 50_000), testOptions())
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
