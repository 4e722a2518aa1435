package extent

import (
	"io"
	"iter"
	"sort"
	"sync"

	"imprint/internal/tree"
)

// NewBlob returns a region of size bytes as content: a file system that becomes a file of another one. Extents of src after size are
// ignored. Two calls return different blobs, even for the same source.
//
// The blob is a [tree.SparseBlob]: its data are the extents of src in steps of 64 KiB, and shorter holes count as data.
func NewBlob(src Source, size int64) tree.Blob {
	n := &nested{src: src, size: size}
	n.data = sync.OnceValue(n.ranges)
	return n
}

type nested struct {
	src  Source
	size int64
	data func() []tree.Range
}

// Size implements tree.Blob.
func (n *nested) Size() int64 { return n.size }

// Open implements tree.Blob.
func (n *nested) Open() (tree.Reader, error) { return &nestedReader{nested: n}, nil }

// Data implements tree.SparseBlob.
func (n *nested) Data() []tree.Range { return n.data() }

// holeStep is the unit in bytes of a nested region's holes. Smaller ones count as data: a file system leaves a hole after the last bytes of
// nearly every file, and the outer one should not break its file into pieces for them.
const holeStep = 64 << 10

// ranges joins the extents that lie less than a step apart.
func (n *nested) ranges() (data []tree.Range) {
	for e := range n.src.Extents(0) {
		if e = e.Cut(0, n.size); e.Len == 0 {
			continue
		}
		from, to := e.Off&^(holeStep-1), min(n.size, (e.End()+holeStep-1)&^(holeStep-1))
		if k := len(data) - 1; k >= 0 && from <= data[k].End() {
			data[k].Len = max(to, data[k].End()) - data[k].Off
			continue
		}
		data = append(data, tree.Range{Off: from, Len: to - from})
	}
	return data
}

type nestedReader struct {
	*nested
	last lastReader
}

// ReadAt implements io.ReaderAt.
func (r *nestedReader) ReadAt(p []byte, off int64) (int, error) {
	n := max(0, min(int64(len(p)), r.size-off))
	if err := r.last.readAt(r.src, p[:n], off); err != nil {
		return 0, err
	}
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// Close implements io.Closer.
func (r *nestedReader) Close() error { return r.last.Close() }

// SourceOf returns the source from which [NewBlob] made b, or the blob that b is a part of, and the offset of b in that region. It returns nil
// for other blobs.
func SourceOf(b tree.Blob) (src Source, off int64) {
	whole, off := tree.Origin(b)
	if n, ok := whole.(*nested); ok {
		return n.src, off
	}
	return nil, 0
}

// Flatten returns src with every extent of a blob made by [NewBlob] replaced by the inner region's extents that lie in it, cut to it and moved to
// their offsets in the outer region, at any depth. The bytes are the same, but no blob is a region any more, so that each file can be read once
// and written to its place. Meta is that of the inner extents.
func Flatten(src Source) Source { return flat{src} }

type flat struct{ src Source }

// Extents implements Source. It skips the extents before from at every level.
func (f flat) Extents(from int64) iter.Seq[Extent] {
	return func(yield func(Extent) bool) {
		for e := range f.src.Extents(from) {
			if !flatten(e, from, yield) {
				return
			}
		}
	}
}

// flatten yields the extents that e consists of and that end after from.
func flatten(e Extent, from int64, yield func(Extent) bool) bool {
	inner, off := SourceOf(e.Blob)
	if inner == nil {
		return yield(e)
	}
	lo := off + e.At // where e begins in the inner region
	hi := lo + e.Len
	moved := e.Off - lo
	for x := range inner.Extents(max(lo, from-moved)) {
		if x.Off >= hi {
			break
		}
		if x = x.Cut(lo, hi); x.Len == 0 {
			continue
		}
		x.Off += moved
		if !flatten(x, from, yield) {
			return false
		}
	}
	return true
}

// Through returns the places of extents of an inner region in an outer one. outer are the extents of the file that holds the inner region, in the
// order of At: one if it is contiguous, or several. inner are extents of the inner region, such as those of one file. The result is in the
// order of inner; an extent that lies in several of outer is split, and parts that lie in none are omitted. Blob, At and Meta are those of
// inner; outer's blobs are not used.
func Through(outer, inner []Extent) []Extent {
	list := make([]Extent, 0, len(inner))
	for _, x := range inner {
		first := sort.Search(len(outer), func(i int) bool { return outer[i].At+outer[i].Len > x.Off })
		for _, o := range outer[first:] {
			if o.At >= x.End() {
				break
			}
			if part := x.Cut(o.At, o.At+o.Len); part.Len > 0 {
				part.Off += o.Off - o.At
				list = append(list, part)
			}
		}
	}
	return list
}
