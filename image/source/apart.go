package source

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"imprint/closure"
	"imprint/closure/nar"
	"imprint/internal/cas"
	"imprint/internal/scratch"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// A heap is a file without a name for archives that have to be read before they are written, and are not kept.
type heap struct {
	mu   sync.Mutex
	file *os.File // made with the first archive
	size int64    // of the archives so far, in bytes
}

// reserve returns room for an archive.
func (h *heap) reserve(dir string, size int64) (*share, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file == nil {
		file, err := scratch.File(dir, "archives")
		if err != nil {
			return nil, err
		}
		h.file = file
	}
	free, err := scratch.Free(dir)
	if err == nil && size > free-64*units.MiB {
		err = fmt.Errorf("%s has %s free, and an archive that is compared has %s", dir, units.FormatBytes(free), units.FormatBytes(size))
	}
	if err != nil {
		return nil, err
	}
	s := &share{h.file, h.size, size}
	h.size += size
	return s, nil
}

// A share is the part of the file that has one archive.
type share struct {
	file      *os.File
	off, size int64
}

// Size implements tree.Blob.
func (s *share) Size() int64 { return s.size }

// Open implements tree.Blob.
func (s *share) Open() (tree.Reader, error) {
	return shareReader{io.NewSectionReader(s.file, s.off, s.size)}, nil
}

type shareReader struct{ *io.SectionReader }

// Close implements io.Closer. The file stays open as long as the cache is used.
func (shareReader) Close() error { return nil }

// setApart unpacks the archive of an item, which is verified when it is written.
func (c *Cache) setApart(ctx context.Context, info *closure.Info) error {
	e := c.entries[info.Path]
	to, err := c.heap.reserve(c.Scratch, info.NARSize)
	if err == nil {
		err = c.unpackTo(ctx, io.NewOffsetWriter(to.file, to.off), e, info.NARSize)
	}
	if err != nil {
		return fmt.Errorf("%v from %v/%s: %w", info.Path, c, e.text.URL, err)
	}
	e.stream.apart = to
	return nil
}

// unpackTo unpacks an archive of so many bytes.
func (c *Cache) unpackTo(ctx context.Context, w io.Writer, e *entry, size int64) error {
	file, err := e.stream.open(ctx)
	if err != nil {
		return err
	}
	p, err := newPass(file, e)
	if err != nil {
		return err
	}
	defer p.close()
	to := &noting{w: w, n: &c.now.done}
	n, err := io.CopyBuffer(to, io.LimitReader(p.r, size), make([]byte, 256<<10))
	switch {
	case to.err != nil:
		return to.err
	case err == nil && n < size:
		return p.ended(io.EOF)
	case err != nil:
		return p.ended(err)
	}
	return nil
}

// A mismatch reports an archive with another hash.
type mismatch struct{ got, want nar.Digest }

// Error implements error.
func (m *mismatch) Error() string {
	return fmt.Sprintf("%v: SHA-256 %x, not %x", cas.ErrMismatch, m.got, m.want)
}

// Is makes the error match [cas.ErrMismatch].
func (m *mismatch) Is(target error) bool { return target == cas.ErrMismatch }
