package tree

import (
	"errors"
	"io"
	"slices"
)

// Concat is the contents of several blobs, one after the other. Each call makes another blob, even of the same parts. Its holes are not
// known.
func Concat(parts ...Blob) Blob {
	c := &concat{parts: slices.Clone(parts)}
	for _, p := range parts {
		c.starts = append(c.starts, c.size)
		c.size += p.Size()
	}
	return c
}

type concat struct {
	parts  []Blob
	starts []int64
	size   int64
}

func (c *concat) Size() int64 { return c.size }

// Composed reports whether a blob was made by [Concat].
func Composed(b Blob) bool {
	_, ok := b.(*concat)
	return ok
}

// Open implements Blob. It opens all parts.
func (c *concat) Open() (Reader, error) {
	r := &concatReader{concat: c}
	for _, p := range c.parts {
		part, err := p.Open()
		if err != nil {
			r.Close()
			return nil, err
		}
		r.open = append(r.open, part)
	}
	return r, nil
}

type concatReader struct {
	*concat
	open []Reader
}

// ReadAt implements io.ReaderAt.
func (r *concatReader) ReadAt(p []byte, off int64) (n int, err error) {
	for i, part := range r.open {
		end := r.starts[i] + r.parts[i].Size()
		if n == len(p) || off >= end || off < r.starts[i] {
			continue
		}
		want := int(min(int64(len(p)-n), end-off))
		k, err := part.ReadAt(p[n:n+want], off-r.starts[i])
		n, off = n+k, off+int64(k)
		if k < want {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // a part has become shorter
			}
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Close closes all parts.
func (r *concatReader) Close() error {
	var all []error
	for _, part := range r.open {
		all = append(all, part.Close())
	}
	return errors.Join(all...)
}
