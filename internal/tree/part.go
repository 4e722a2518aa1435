package tree

import (
	"errors"
	"io"
	"sort"
)

// Slice returns the n bytes of b from off on as a blob; neither is negative. Slices of the same range of the same blob are equal, even if one of
// them is a slice of a slice. Reading one that reaches past the end of b is an error, as for content that has become shorter.
func Slice(b Blob, off, n int64) Blob {
	if off == 0 && n == b.Size() {
		return b
	}
	s := slice{b, off, n}
	switch outer := b.(type) {
	case slice:
		s = outer.slice(off, n)
	case sparseSlice:
		s = outer.slice.slice(off, n)
	}
	if _, ok := s.whole.(SparseBlob); ok {
		return sparseSlice{s}
	}
	return s
}

type slice struct {
	whole     Blob
	off, size int64
}

// slice returns a part of the slice, as a slice of the same whole. One that reaches past the end must keep that end, so it stays nested.
func (s slice) slice(off, n int64) slice {
	if off > s.size || n > s.size-off {
		return slice{s, off, n}
	}
	return slice{s.whole, s.off + off, n}
}

// Size implements Blob.
func (s slice) Size() int64 { return s.size }

// Within implements PartBlob.
func (s slice) Within() (Blob, int64) { return s.whole, s.off }

// Open implements Blob.
func (s slice) Open() (Reader, error) {
	r, err := s.whole.Open()
	if err != nil {
		return nil, err
	}
	return &sliceReader{r, s.off, s.size}, nil
}

type sliceReader struct {
	Reader
	off, size int64
}

// ReadAt implements io.ReaderAt.
func (r *sliceReader) ReadAt(p []byte, off int64) (int, error) {
	if off >= r.size {
		return 0, io.EOF
	}
	cut := p[:min(int64(len(p)), r.size-off)]
	n, err := r.Reader.ReadAt(cut, r.off+off)
	switch {
	case n < len(cut) && (err == nil || errors.Is(err, io.EOF)):
		return n, io.ErrUnexpectedEOF
	case n < len(cut):
		return n, err
	case n < len(p):
		return n, io.EOF
	}
	return n, nil
}

// Descriptor implements DescriptorReader.
func (r *sliceReader) Descriptor() (fd int, off int64, ok bool) {
	fd, off, ok = Descriptor(r.Reader)
	return fd, off + r.off, ok
}

// NextData implements DataReader.
func (r *sliceReader) NextData(off int64) int64 { return NextData(r.Reader, r.off+off) - r.off }

// A sparseSlice is a slice of a SparseBlob.
type sparseSlice struct{ slice }

// Data implements SparseBlob: the ranges of the whole that lie in the slice, cut to it.
func (s sparseSlice) Data() []Range {
	all := DataOf(s.whole)
	end := s.off + s.size
	first := sort.Search(len(all), func(i int) bool { return all[i].End() > s.off })
	var data []Range
	for _, r := range all[first:] {
		if r.Off >= end {
			break
		}
		from := max(r.Off, s.off)
		data = append(data, Range{from - s.off, min(r.End(), end) - from})
	}
	return data
}

// Sparse returns b as a [SparseBlob]: only the given ranges, in order and apart, hold other bytes than zeros. Two calls return different blobs.
func Sparse(b Blob, data []Range) Blob { return &sparse{b, data} }

type sparse struct {
	Blob
	data []Range
}

// Data implements SparseBlob.
func (s *sparse) Data() []Range { return s.data }

// Within implements PartBlob.
func (s *sparse) Within() (Blob, int64) { return s.Blob, 0 }
