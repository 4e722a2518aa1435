package hosttree

import (
	"fmt"
	"io"
	"sort"

	"imprint/internal/tree"
)

// A slice is a part of an archive.
type slice struct {
	archive *archive
	off     int64
	size    int64
}

// Size returns the length in bytes.
func (s *slice) Size() int64 { return s.size }

// HostPath implements tree.HostBlob: the path of the archive.
func (s *slice) HostPath() string { return s.archive.path }

// Open costs nothing: the archive is open.
func (s *slice) Open() (tree.Reader, error) { return sliceReader{s}, nil }

type sliceReader struct{ *slice }

// Descriptor implements tree.DescriptorReader.
func (r sliceReader) Descriptor() (fd int, off int64, ok bool) {
	f, ok := r.archive.ReaderAt.(*fileReader)
	if !ok {
		return 0, 0, false
	}
	return f.fd, r.off, true
}

// ReadAt implements io.ReaderAt.
func (r sliceReader) ReadAt(p []byte, off int64) (int, error) {
	if off >= r.size {
		return 0, io.EOF
	}
	cut := p[:min(int64(len(p)), r.size-off)]
	n, err := r.archive.ReadAt(cut, r.off+off)
	if n == len(cut) {
		err = nil
		if n < len(p) {
			err = io.EOF
		}
	}
	return n, err
}

// NextData implements tree.DataReader: the archive may be a file with holes.
func (r sliceReader) NextData(off int64) int64 {
	if f, ok := r.archive.ReaderAt.(*fileReader); ok {
		return f.NextData(r.off+off) - r.off
	}
	return off
}

// Close implements io.Closer.
func (sliceReader) Close() error { return nil }

// A sparseSlice is content with holes, whose data is in one run in an archive.
type sparseSlice struct {
	archive *archive
	size    int64
	data    []tree.Range
	at      []int64 // where each of data is in the archive
}

// place adds the data of a map, given as pairs of offset and length, which begins at the given offset of the archive. It returns the offset
// where it ends.
func (s *sparseSlice) place(pairs []int64, at int64) (int64, error) {
	end := int64(0) // of the last range
	for ; len(pairs) >= 2; pairs = pairs[2:] {
		off, size := pairs[0], pairs[1]
		if off < end || size < 0 || size > s.size-off || size > s.archive.size-at {
			return 0, fmt.Errorf("sparse map with %d bytes at %d, in a file of %d bytes", size, off, s.size)
		}
		last := len(s.data) - 1
		switch {
		case size == 0:
		case last >= 0 && off == end:
			s.data[last].Len += size
		default:
			s.data = append(s.data, tree.Range{Off: off, Len: size})
			s.at = append(s.at, at)
		}
		end, at = off+size, at+size
	}
	return at, nil
}

// Size returns the length in bytes, holes included.
func (s *sparseSlice) Size() int64 { return s.size }

// Data implements tree.SparseBlob.
func (s *sparseSlice) Data() []tree.Range { return s.data }

// HostPath implements tree.HostBlob: the path of the archive.
func (s *sparseSlice) HostPath() string { return s.archive.path }

// Open costs nothing: the archive is open.
func (s *sparseSlice) Open() (tree.Reader, error) { return sparseReader{s}, nil }

type sparseReader struct{ *sparseSlice }

// ReadAt implements io.ReaderAt; holes read as zeros.
func (r sparseReader) ReadAt(p []byte, off int64) (int, error) {
	if off >= r.size {
		return 0, io.EOF
	}
	cut := p[:min(int64(len(p)), r.size-off)]
	clear(cut)
	end := off + int64(len(cut))
	first := sort.Search(len(r.data), func(i int) bool { return r.data[i].Off+r.data[i].Len > off })
	for i := first; i < len(r.data) && r.data[i].Off < end; i++ {
		from, to := max(off, r.data[i].Off), min(end, r.data[i].Off+r.data[i].Len)
		if n, err := r.archive.ReadAt(cut[from-off:to-off], r.at[i]+from-r.data[i].Off); int64(n) < to-from {
			return int(from-off) + n, err
		}
	}
	if len(cut) < len(p) {
		return len(cut), io.EOF
	}
	return len(cut), nil
}

// NextData implements tree.DataReader.
func (r sparseReader) NextData(off int64) int64 {
	i := sort.Search(len(r.data), func(i int) bool { return r.data[i].End() > off })
	if i == len(r.data) {
		return r.size
	}
	return max(off, r.data[i].Off)
}

// Close implements io.Closer.
func (sparseReader) Close() error { return nil }
