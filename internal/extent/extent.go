// Package extent describes the content of a region of a disk before any byte of it is written: sorted, disjoint extents, each backed by a
// slice of a blob. Bytes that no extent covers are a hole, and read as zeros.
//
// Layouts nest: [NewBlob] makes a blob of one, which can be the content of a file in another. [Flatten] removes the levels between a file and
// the disk from such a layout, and [Through] returns the place on the disk of a file of the inner layout.
package extent

import (
	"fmt"
	"iter"
	"sort"

	"imprint/internal/tree"
)

// An Extent is Len bytes at offset Off of a region, backed by the bytes of Blob from At on. All are in bytes.
type Extent struct {
	Off, Len int64
	Blob     tree.Blob
	At       int64
	Meta     bool // the region's own structure, not the content of a file in it
}

// End returns the offset after the extent.
func (e Extent) End() int64 { return e.Off + e.Len }

// Cut returns the part of the extent that lies in [from, to) of the region. Its Len is 0 if there is none.
func (e Extent) Cut(from, to int64) Extent {
	lo, hi := max(e.Off, from), min(e.End(), to)
	e.Off, e.Len, e.At = lo, max(0, hi-lo), e.At+lo-e.Off
	return e
}

// A Source is the content of a region as extents.
type Source interface {
	// Extents yields the extents that end after from, in the order of their offsets. Skipping those before from takes at most logarithmic
	// time, since reading a region part by part calls Extents for each part.
	Extents(from int64) iter.Seq[Extent]
}

// A List is a Source held in memory: sorted by offset and disjoint.
type List []Extent

// Extents implements Source.
func (l List) Extents(from int64) iter.Seq[Extent] {
	first := sort.Search(len(l), func(i int) bool { return l[i].End() > from })
	return func(yield func(Extent) bool) {
		for _, e := range l[first:] {
			if !yield(e) {
				return
			}
		}
	}
}

// Sort sorts the list by offset. The error reports extents that overlap or lie outside [0, size).
func (l List) Sort(size int64) error {
	sort.Slice(l, func(i, j int) bool { return l[i].Off < l[j].Off })
	end := int64(0)
	for _, e := range l {
		if e.Off < end || e.Len < 0 || e.End() > size {
			return fmt.Errorf("extent of %d bytes at %d overlaps its neighbour or leaves the region of %d bytes", e.Len, e.Off, size)
		}
		end = e.End()
	}
	return nil
}
