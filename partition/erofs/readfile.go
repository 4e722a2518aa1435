package erofs

import (
	"errors"
	"io"

	"imprint/internal/tree"
)

// stored is content in an image, a [tree.Blob]: its last tail bytes are at tailAt, the bytes before them at at.
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
	n = int(max(0, min(int64(len(p)), s.size-off)))
	p, short := p[:n], n < len(p)
	if body := s.size - s.tail; off < body {
		k := min(int64(n), body-off)
		if err := readFull(s.image, p[:k], s.at+off); err != nil {
			return 0, err
		}
		p, off = p[k:], off+k
	}
	if len(p) > 0 {
		if err := readFull(s.image, p, s.tailAt+off-(s.size-s.tail)); err != nil {
			return 0, err
		}
	}
	if short {
		return n, io.EOF
	}
	return n, nil
}

// Parts implements tree.PlacedBlob.
func (s *stored) Parts() (parts []tree.Range) {
	if body := s.size - s.tail; body > 0 {
		parts = append(parts, tree.Range{Off: s.at, Len: body})
	}
	if s.tail > 0 {
		parts = append(parts, tree.Range{Off: s.tailAt, Len: s.tail})
	}
	return parts
}

// place returns the offset in the image of byte off of the content.
func (s *stored) place(off int64) int64 {
	if body := s.size - s.tail; off >= body {
		return s.tailAt + off - body
	}
	return s.at + off
}
