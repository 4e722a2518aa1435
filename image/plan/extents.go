package plan

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"imprint/internal/extent"
)

// Extents implements [extent.Source] for the whole disk. File systems inside others are flattened: what a consumer sees are
// the files in them, each at its final offset. A region that a host tool makes has no extents, and reads as a hole.
func (l *Layout) Extents(from int64) iter.Seq[extent.Extent] {
	return extent.Flatten(regions{l}).Extents(from)
}

// regions is a layout whose nested file systems are still single files of the regions around them. [extent.Flatten] takes them
// apart.
type regions struct{ *Layout }

// Extents implements [extent.Source]: it merges the regions with what lies outside of them, in the order of offsets. Both are
// sorted, and the regions may have millions of extents, so nothing is gathered.
func (l regions) Extents(from int64) iter.Seq[extent.Extent] {
	regions := l.onDisk()
	return func(yield func(extent.Extent) bool) {
		next, stop := iter.Pull(l.outside.Extents(from))
		defer stop()
		e, more := next()
		before := func(end int64) bool { // yields what lies outside of all regions before end
			for ; more && e.Off < end; e, more = next() {
				if !yield(e) {
					return false
				}
			}
			return true
		}
		for _, r := range regions {
			if !before(r.Offset + r.lead) {
				return
			}
			for e := range r.Maker.Extents(max(0, from-r.Offset)) {
				e.Off += r.Offset
				if !yield(e) {
					return
				}
			}
		}
		before(l.Size)
	}
}

// onDisk returns the regions that are ranges of the disk, sorted by offset.
func (l *Layout) onDisk() []*Region {
	list := slices.DeleteFunc(slices.Clone(l.Regions), func(r *Region) bool { return r.In != nil })
	slices.SortFunc(list, func(a, b *Region) int { return cmp.Compare(a.Offset, b.Offset) })
	return list
}

// ReadAt reads bytes of the finished disk without writing it. It opens only the sources of the extents in that range. It fails
// if the range touches a region that a host tool has yet to make.
func (l *Layout) ReadAt(p []byte, off int64) error {
	for _, r := range l.onDisk() {
		if r.MadeByHost() && off < r.Offset+r.Size && r.Offset < off+int64(len(p)) {
			return fmt.Errorf("partition %q is made by a host tool: its bytes are not known before", r.Partition.Spec.Name)
		}
	}
	return extent.ReadAt(l, p, off)
}
