package squashfs

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"imprint/internal/fault"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

// packed is a file system that has been made: its size is not known before.
type packed []byte

func (p packed) Size() int64 { return int64(len(p)) }

func (p packed) Make(_ context.Context, file string, offset int64) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(p, offset)
	return err
}

// TestConformance leaves out what a squashfs has no place for, and what does not go through a tar archive. Extended attributes, which
// unsquashfs does not print, have a test of their own.
func TestConformance(t *testing.T) {
	hosttest.Need(t, "sqfstar", "unsquashfs")
	partitiontest.Run(t, partitiontest.Engine{
		Plan: func(tr *tree.Tree, o partitiontest.Options) (partitiontest.Plan, error) {
			if err := Check(tr); err != nil {
				return nil, err
			}
			name := filepath.Join(t.TempDir(), "packed")
			w, err := Create(t.Context(), name, tr, Options{Made: o.Epoch})
			if err != nil {
				return nil, err
			}
			for path, n := range tr.Walk() {
				if err := w.Add(path, n, func(to io.Writer) error { return tree.Copy(t.Context(), to, n.Inode().Blob(), nil) }); err != nil {
					w.Close()
					return nil, err
				}
			}
			if err := w.Close(); err != nil {
				return nil, err
			}
			return read(name)
		},
		Grain:   grain,
		Refuses: []partitiontest.Feature{partitiontest.ACLs, partitiontest.Sockets},
		Drops: []partitiontest.Feature{partitiontest.FreeSpace, partitiontest.Sizes, partitiontest.Nanos, partitiontest.Labels,
			partitiontest.LinkModes, partitiontest.Xattrs},
		Seconds: [2]int64{0, maxTime},
		Read:    partitiontest.Squashfs,
		Check: func(t testing.TB, r partitiontest.Region) {
			image, _ := partitiontest.Opened(t, r.File)
			_, err := Inspect(io.NewSectionReader(image, r.Offset, r.Size), r.Size, func(f fault.Fault) { t.Errorf("%v", f) })
			if err != nil {
				t.Error(err)
			}
		},
	})
}

// read reads a file and removes it.
func read(name string) (packed, error) {
	p, err := os.ReadFile(name)
	os.Remove(name)
	return p, err
}
