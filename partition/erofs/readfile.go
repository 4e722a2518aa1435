package erofs

import (
	"errors"
	"io"

	"imprint/internal/tree"
)

// stored is content that lies in an image: a tail of so many bytes at one place, and what is before it at another. It is a blob.
type stored struct {
	image      io.ReaderAt
	size, tail int64
	at, tailAt int64 // offsets in the image
}

// Size implements tree.Blob.
func (s *stored) Size() int64 { return s.size }

// Open implements tree.Blob.
func (s *stored) Open() (tree.Reader, error) { return s, nil }

// Close implements io.Closer.
func (s *stored) Close() error { return nil }

// ReadAt implements io.ReaderAt.
func (s *stored) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("read at a negative offset")
	}
	body := s.size - s.tail
	if off < body {
		n, err = s.part(p[:min(int64(len(p)), body-off)], s.at+off)
	}
	if rest := off + int64(n); err == nil && n < len(p) && rest < s.size {
		var k int
		k, err = s.part(p[n:min(int64(len(p)), int64(n)+s.size-rest)], s.tailAt+rest-body)
		n += k
	}
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// part reads from the image, which must not end there.
func (s *stored) part(p []byte, at int64) (int, error) {
	n, err := s.image.ReadAt(p, at)
	switch {
	case n == len(p):
		return n, nil
	case err == nil || errors.Is(err, io.EOF):
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}
