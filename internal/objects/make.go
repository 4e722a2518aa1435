package objects

import (
	"bufio"
	"context"
	"io"

	"imprint/internal/tree"
)

// Make adds the content that fill writes, and returns its digest and its size in bytes. What fails leaves nothing.
func (s *Store) Make(ctx context.Context, fill func(w io.Writer) error) (Digest, int64, error) {
	f, remove, err := s.create()
	if err != nil {
		return Digest{}, 0, err
	}
	defer remove()
	p, size := tree.NewPinner(), counter(0)
	w := bufio.NewWriterSize(io.MultiWriter(f, p, &size), 256<<10)
	if err := fill(w); err != nil {
		return Digest{}, 0, err
	}
	if err := w.Flush(); err != nil {
		return Digest{}, 0, err
	}
	if err := f.Chmod(0o400); err != nil {
		return Digest{}, 0, err
	}
	d := p.Pin()
	_, err = s.name(ctx, f, tree.Pinned(size, d))
	return d, int64(size), err
}

// A counter is the size in bytes of a content that is written.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// Size implements tree.Blob.
func (c counter) Size() int64 { return int64(c) }

// Open implements tree.Blob. Nobody reads what is known by its size alone.
func (counter) Open() (tree.Reader, error) { return nil, ErrMissing }
