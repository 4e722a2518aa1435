package iso9660

import (
	"fmt"
	"io"

	"imprint/internal/tree"
)

// A fileBlob is the content of a file in an image, a [tree.Blob]: one section or, beyond 4 GiB, several (ECMA-119, 6.5.1).
type fileBlob struct {
	image io.ReaderAt
	parts []tree.Range
	size  int64
}

func (rd *reader) fileBlob(parts []tree.Range) (*fileBlob, error) {
	c := &fileBlob{image: rd.image, parts: parts}
	for i, p := range parts {
		if p.Len > 0 && p.Off > rd.size-p.Len {
			return nil, fmt.Errorf("%d bytes at %d of an image of %d", p.Len, p.Off, rd.size)
		}
		if i < len(parts)-1 && p.Len%block != 0 {
			return nil, fmt.Errorf("a section of %d bytes is followed by another", p.Len)
		}
		c.size += p.Len
	}
	return c, nil
}

// Size is the length in bytes.
func (c *fileBlob) Size() int64 { return c.size }

// Parts implements tree.PlacedBlob: a range for each section.
func (c *fileBlob) Parts() []tree.Range { return c.parts }

// Open implements tree.Blob.
func (c *fileBlob) Open() (tree.Reader, error) { return fileReader{c}, nil }

type fileReader struct{ *fileBlob }

// ReadAt implements io.ReaderAt.
func (c fileReader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at negative offset %d", off)
	}
	done := 0
	for _, part := range c.parts {
		if off >= part.Len {
			off -= part.Len
			continue
		}
		n := min(int64(len(p)-done), part.Len-off)
		k, err := c.image.ReadAt(p[done:done+int(n)], part.Off+off)
		if done += k; int64(k) < n {
			return done, err
		}
		off = 0
		if done == len(p) {
			return done, nil
		}
	}
	return done, io.EOF
}

// Close implements io.Closer.
func (fileReader) Close() error { return nil }
