package partitiontest

import (
	"fmt"
	"runtime"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// Zeros is a blob of zeros, as long as its value in bytes, that takes no memory and is not sparse.
type Zeros int64

// Size implements tree.Blob.
func (z Zeros) Size() int64 { return int64(z) }

// Open implements tree.Blob.
func (z Zeros) Open() (tree.Reader, error) {
	return extent.Generated(int64(z), func(p []byte, _ int64) { clear(p) }).Open()
}

// StoreTree returns a tree like a store's, of about the given number of nodes: of 17 nodes of an item 12 are files, and 4 symlinks to another
// item.
func StoreTree(t testing.TB, nodes int) *tree.Tree {
	t.Helper()
	attr := &tree.Attr{Mode: 0o755, Mtime: tree.Time{Sec: 1}}
	b := tree.NewBuilder(attr)
	for i := 0; nodes > 0; i++ {
		var dirs []*tree.Node
		for d := range 5 {
			var files []*tree.Node
			for k := range 12 {
				files = append(files, tree.NewFile(fmt.Sprintf("file-%d.so", k), attr, Zeros((i*7919+k*104729)%70000)))
			}
			for k := range 4 {
				files = append(files, tree.NewSymlink(fmt.Sprintf("link-%d", k), attr, "/nix/store/00000000000000000000000000000000-some-name-1.2.3/lib/some-file"))
			}
			dirs = append(dirs, tree.NewDir(fmt.Sprintf("dir-%d", d), attr, files))
			nodes -= 17
		}
		if err := b.Add(fmt.Sprintf("/nix/store/%032d-item-%d", i, i), tree.NewDir("", attr, dirs), ""); err != nil {
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

// BenchmarkPlan measures planning a file system for trees of two sizes, and the memory that a plan keeps.
func BenchmarkPlan[P any](b *testing.B, plan func(*tree.Tree) (P, error)) {
	for _, nodes := range []int{50_000, 1_000_000} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			tr := StoreTree(b, nodes)
			before := heap()
			var p P
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if p, err = plan(tr); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(heap()-before)/float64(tr.Len()), "bytes/node")
			runtime.KeepAlive(p)
			runtime.KeepAlive(tr)
		})
	}
}

// heap returns the bytes that are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkMetadata measures generating all structure of a file system, as writing does.
func BenchmarkMetadata(b *testing.B, plan extent.Source) {
	buf := make([]byte, 1<<20)
	var bytes, extents int64
	b.ReportAllocs()
	for b.Loop() {
		bytes, extents = 0, 0
		for e := range plan.Extents(0) {
			if extents++; !e.Meta {
				continue
			}
			r, err := e.Blob.Open()
			if err != nil {
				b.Fatal(err)
			}
			for at := int64(0); at < e.Len; at += int64(len(buf)) {
				n, _ := r.ReadAt(buf[:min(int64(len(buf)), e.Len-at)], at)
				bytes += int64(n)
			}
			r.Close()
		}
	}
	b.ReportMetric(float64(bytes)/1e6, "MB")
	b.ReportMetric(float64(extents), "extents")
}
