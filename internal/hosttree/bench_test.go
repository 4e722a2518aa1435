package hosttree

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"imprint/internal/tree"
)

// grow makes a tree of the shape of a small system's store: per item a few directories of files, and forests of directories with
// symlinks. It returns the paths of the items.
func grow(t testing.TB, top string, items int) []string {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	paths := make([]string, items)
	for i := range items {
		item := filepath.Join(top, fmt.Sprintf("%032x-package-%d", r.Uint64(), i))
		paths[i] = item
		dirs := []string{item}
		must(os.Mkdir(item, 0o755))
		for d := range r.IntN(48) {
			at := filepath.Join(dirs[r.IntN(len(dirs))], fmt.Sprintf("directory-%d", d))
			must(os.Mkdir(at, 0o755))
			dirs = append(dirs, at)
		}
		for f := range r.IntN(114) {
			must(os.WriteFile(filepath.Join(dirs[r.IntN(len(dirs))], fmt.Sprintf("some-file-%d.so", f)), []byte("content"), 0o644))
		}
		for l := range r.IntN(35) {
			must(os.Symlink("../../lib/target", filepath.Join(dirs[r.IntN(len(dirs))], fmt.Sprintf("link-%d", l))))
		}
	}
	return paths
}

// storeAttr maps attributes as a store does, which keeps only whether a file is executable.
func storeAttr() func(Host) *tree.Attr {
	plain, executable := &tree.Attr{Mode: 0o444}, &tree.Attr{Mode: 0o555}
	return func(h Host) *tree.Attr {
		if h.Kind == tree.File && h.Mode&0o100 == 0 {
			return plain
		}
		return executable
	}
}

// BenchmarkRead scans 550 items of about 13,500 directories, 31,500 files and 9,500 symlinks.
func BenchmarkRead(b *testing.B) {
	items := grow(b, b.TempDir(), 550)
	for _, filesOnly := range []bool{true, false} {
		b.Run(fmt.Sprintf("filesOnly=%v", filesOnly), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := Scanner{Attr: storeAttr(), FilesOnly: filesOnly}
				var all sync.WaitGroup
				for _, item := range items {
					all.Go(func() {
						if _, err := s.Read(item); err != nil {
							b.Error(err)
						}
					})
				}
				all.Wait()
			}
		})
	}
}
