package ext4

import (
	"fmt"
	"runtime"
	"testing"

	"imprint/internal/tree"
)

// storeTree is a tree like a store's: of eleven nodes six or seven are files, three directories, two symlinks to other items.
func storeTree(t testing.TB, nodes int) *tree.Tree {
	t.Helper()
	b := tree.NewBuilder(plain)
	add := func(path string, n *tree.Node) {
		if err := b.Add(path, n, ""); err != nil {
			t.Fatal(err)
		}
	}
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
		add(fmt.Sprintf("/nix/store/%032d-item-%d", i, i), tree.NewDir("", plain, kids))
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
			o := testOptions()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var p *Plan
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if p, err = New(tr, o); err != nil {
					b.Fatal(err)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(tr.Len()), "bytes/node")
			runtime.KeepAlive(p)
			runtime.KeepAlive(tr)
		})
	}
}

// BenchmarkMetadata makes all metadata of a file system, as writing it does.
func BenchmarkMetadata(b *testing.B) {
	p, err := New(storeTree(b, 50_000), testOptions())
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 1<<20)
	var bytes, extents int64
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
