package stream

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttree"
)

// Files with the sizes of a real store: many of a few kilobytes, few of megabytes; all of them hashed and in the image digest.
func BenchmarkCopy(b *testing.B) {
	for _, c := range []struct {
		name        string
		files, size int
	}{{"3kB", 8000, 3000}, {"100kB", 600, 100_000}, {"16MB", 6, 16 << 20}} {
		b.Run(c.name, func(b *testing.B) { benchmarkCopy(b, c.files, c.size) })
	}
}

func benchmarkCopy(b *testing.B, files, size int) {
	const block, perJob = 4096, 200
	dir := b.TempDir()
	content := make([]byte, size)
	rand.New(rand.NewSource(1)).Read(content)
	var places []extent.Extent
	end := int64(0)
	for i := range files {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, content, 0o600); err != nil {
			b.Fatal(err)
		}
		blob, err := hosttree.File(path)
		if err != nil {
			b.Fatal(err)
		}
		places = append(places, extent.Extent{Off: end, Len: int64(size), Blob: blob})
		end += int64(size+block-1) / block * block
	}
	b.SetBytes(int64(files) * int64(size))
	for b.Loop() {
		d := disk(b, end)
		var jobs []Job
		for from := 0; from < files; from += perJob {
			part := places[from:min(from+perJob, files)]
			for _, p := range part {
				d.Digest.Expect(p.Off, p.Len)
			}
			jobs = append(jobs, Job{Cost: int64(len(part)), Run: func(_ context.Context, w *Worker) error {
				h := sha256.New()
				for i := range part {
					if err := w.Copy(part[i].Blob, To{Places: part[i : i+1], Grain: block, Hash: h}); err != nil {
						return err
					}
				}
				return nil
			}})
		}
		if err := d.Run(context.Background(), jobs); err != nil {
			b.Fatal(err)
		}
		os.Remove(d.File.Name())
	}
}
