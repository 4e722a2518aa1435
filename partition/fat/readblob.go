package fat

import (
	"fmt"
	"io"
	"sort"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// A stored is the content of a file in an image, a [tree.Blob]. Its chain is followed when it is opened. Two values for one file are equal.
type stored struct {
	table *table
	first uint32 // cluster
	size  int64  // bytes
}

// Size implements tree.Blob.
func (s stored) Size() int64 { return s.size }

// Open implements tree.Blob. A chain that is too short for the file is an error.
func (s stored) Open() (tree.Reader, error) {
	if s.size == 0 {
		return &storedReader{image: s.table.image}, nil
	}
	list, err := s.table.chain(s.first, units.Blocks(s.size, s.table.cluster))
	if err != nil {
		return nil, err
	}
	r := &storedReader{s.table.image, list, make([]int64, len(list)), s.size}
	for i := range list[1:] {
		r.starts[i+1] = r.starts[i] + list[i].Len
	}
	return r, nil
}

// Parts implements tree.PlacedBlob.
func (s stored) Parts() []tree.Range {
	if s.size == 0 {
		return nil
	}
	list, _ := s.table.chain(s.first, units.Blocks(s.size, s.table.cluster))
	return list
}

// A storedReader reads the ranges of an image that make a file, of which there may be as many as clusters.
type storedReader struct {
	image  io.ReaderAt
	parts  []tree.Range
	starts []int64 // offsets in the file of the parts
	size   int64
}

// ReadAt implements io.ReaderAt.
func (r *storedReader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read at negative offset %d", off)
	}
	want := int(max(0, min(int64(len(p)), r.size-off)))
	i := sort.Search(len(r.starts), func(i int) bool { return r.starts[i] > off }) - 1
	for ; n < want; i++ {
		at := off + int64(n) - r.starts[i]
		k := int(min(int64(want-n), r.parts[i].Len-at))
		if err := readFull(r.image, p[n:n+k], r.parts[i].Off+at); err != nil {
			return n, err
		}
		n += k
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Close implements io.Closer.
func (*storedReader) Close() error { return nil }
