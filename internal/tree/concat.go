package tree

import (
	"errors"
	"io"
	"slices"
)

// Concat returns a blob of the contents of several blobs, one after the other. Two calls return different blobs, even for the same parts. Holes
// of the parts are not known.
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

// A Piece is a run of bytes of a blob that is neither a part of another one nor a concatenation.
type Piece struct {
	Blob Blob
	Range
}

// Pieces returns the pieces that make up a blob, in order, through any number of [PartBlob]s and of [Concat]s.
func Pieces(b Blob) []Piece { return pieces(nil, b, Range{0, b.Size()}) }

func pieces(list []Piece, b Blob, r Range) []Piece {
	whole, at := Origin(b)
	r.Off += at
	c, ok := whole.(*concat)
	if !ok {
		return append(list, Piece{whole, r})
	}
	for i, p := range c.parts {
		from, to := max(r.Off, c.starts[i]), min(r.End(), c.starts[i]+p.Size())
		if from < to {
			list = pieces(list, p, Range{from - c.starts[i], to - from})
		}
	}
	return list
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
