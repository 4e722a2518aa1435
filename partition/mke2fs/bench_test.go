package mke2fs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

// onHost is a blob that is a file of the host.
type onHost struct {
	path string
	size int64
}

func (f onHost) HostPath() string           { return f.path }
func (f onHost) Size() int64                { return f.size }
func (f onHost) Open() (tree.Reader, error) { return os.Open(f.path) }

// BenchmarkMake makes a store of 300 items of 100 files of 3 kB that lie on the host.
func BenchmarkMake(b *testing.B) {
	hosttest.Need(b, "mke2fs", "debugfs", "e2fsck")
	source := filepath.Join(b.TempDir(), "source")
	if err := os.WriteFile(source, bytes.Repeat([]byte("x"), 3000), 0o600); err != nil {
		b.Fatal(err)
	}
	t := tightTree{"store", func(add func(string, *tree.Node)) {
		for i := range 30_000 {
			add(fmt.Sprintf("/nix/store/%032d-item/file-%d", i/100, i%100), tree.NewFile("", store, onHost{source, 3000}))
		}
	}}.tree(b)
	p, err := New(t, options(partitiontest.Options{Epoch: 1}))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(30_000 * 3000)
	for b.Loop() {
		file := filepath.Join(b.TempDir(), "disk")
		if f, err := os.Create(file); err != nil || f.Truncate(p.Size()) != nil || f.Close() != nil {
			b.Fatal(err)
		}
		if err := p.Make(b.Context(), file, 0); err != nil {
			b.Fatal(err)
		}
	}
}
