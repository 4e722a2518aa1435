package ext4

import (
	"os"
	"testing"

	"imprint/partition/partitiontest"
)

// BenchmarkRead reads a file system like that of a store of 50,000 nodes, in a sparse file in the page cache: its tree, and all its structure.
func BenchmarkRead(b *testing.B) {
	p, err := New(partitiontest.StoreTree(b, 50_000), testOptions())
	if err != nil {
		b.Fatal(err)
	}
	path := write(b, p)
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	v, err := Read(f, p.Size())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("tree", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Read(f, p.Size()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("check", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if found := faults(v); found != nil {
				b.Fatal(found)
			}
		}
	})
	b.Run("explain", func(b *testing.B) {
		for b.Loop() {
			v.newAtlas()
		}
	})
}
