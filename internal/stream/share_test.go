package stream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/hosttree"
	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

func bytesUsed(t *testing.T, dir string) int64 {
	unix.Sync()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize
}

// If the host's file system shares extents, large files take no further space, and all bytes and hashes are the same as without.
func TestShare(t *testing.T) {
	for _, mkfs := range []string{"mkfs.xfs", "mkfs.btrfs"} {
		for _, kind := range []string{"plain", "counted", "hashed"} {
			t.Run(mkfs+" "+kind, func(t *testing.T) {
				dir, hashes := hosttest.Mounted(t, mkfs), kind == "hashed"
				content := make([]byte, 40<<20+777)
				rand.New(rand.NewSource(1)).Read(content)
				source := filepath.Join(dir, "source")
				if err := os.WriteFile(source, content, 0o600); err != nil {
					t.Fatal(err)
				}
				b, err := hosttree.File(source)
				if err != nil {
					t.Fatal(err)
				}
				if hashes { // a blob that is not the whole file has blocks to share too
					content = content[2*shareBlock:]
					b = tree.Slice(b, 2*shareBlock, int64(len(content)))
				}
				f, err := os.Create(filepath.Join(dir, "disk"))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				d := &Disk{Volume: Volume{File: f, Size: 64 << 20}}
				if err := f.Truncate(d.Size); err != nil {
					t.Fatal(err)
				}
				cut := int64(9 << 20) // two extents, neither of them on the grain of the pieces
				places := []extent.Extent{{Off: 1<<20 + 4096, Len: cut, Blob: b}, {Off: 20<<20 + 8192, Len: b.Size() - cut, Blob: b, At: cut}}
				want := make([]byte, d.Size)
				for _, p := range places {
					copy(want[p.Off:], content[p.At:p.At+p.Len])
				}
				if kind != "plain" {
					d.Digest, d.Direct = NewPieces(d.Size), direct(f)
					defer d.Direct.Close()
					d.Digest.NoSums = !hashes
					for _, p := range places {
						d.Digest.Expect(p.Off, p.Len)
					}
				}
				before, h, read := bytesUsed(t, dir), sha256.New(), &counted{Blob: b}
				if err := d.Run(context.Background(), []Job{{Run: func(_ context.Context, w *Worker) error {
					to := To{Places: places, Grain: 4096}
					if hashes {
						to.Hash = h
					}
					return w.Copy(read, to)
				}}}); err != nil {
					t.Fatal(err)
				}
				if grown := bytesUsed(t, dir) - before; grown > 10<<20 || d.unshared.Load() {
					t.Errorf("%d bytes more are used: the extents are not shared", grown)
				}
				if n := read.n; !hashes && n > 1<<20 {
					t.Errorf("%d bytes of the source were read for nothing", n)
				}
				got := make([]byte, d.Size)
				if _, err := f.ReadAt(got, 0); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Error("the disk has other bytes than the source")
				}
				if hashes && (d.Digest.Sum() != digestOf(want) || [32]byte(h.Sum(nil)) != sha256.Sum256(content)) {
					t.Error("a hash is not that of the bytes")
				}
			})
		}
	}
}

// counted is a file whose bytes that are read are counted.
type counted struct {
	tree.Blob
	n int
}

func (c *counted) Open() (tree.Reader, error) {
	r, err := c.Blob.Open()
	return &countedReader{r.(tree.DescriptorReader), c}, err
}

type countedReader struct {
	tree.DescriptorReader
	of *counted
}

func (r *countedReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.DescriptorReader.ReadAt(p, off)
	r.of.n += n
	return n, err
}
