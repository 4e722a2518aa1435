package plan

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"imprint/internal/extent"
)

// Extents implements [extent.Source] for the whole disk. The region of a file system that a host tool makes is missing until it is made.
func (l *Layout) Extents(from int64) iter.Seq[extent.Extent] {
	return extent.Flatten(regions{l}).Extents(from)
}

// regions are what a layout consists of, with file systems that are files of others as content.
type regions struct{ *Layout }

// Extents implements [extent.Source]: what regions hold, and what lies outside of them in between.
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

// onDisk are the regions that lie on the disk themselves, in the order of their offsets.
func (l *Layout) onDisk() []*Region {
	list := slices.DeleteFunc(slices.Clone(l.Regions), func(r *Region) bool { return r.In != nil })
	slices.SortFunc(list, func(a, b *Region) int { return cmp.Compare(a.Offset, b.Offset) })
	return list
}

// ReadAt returns the bytes of the finished disk, with no disk there: it reads only the sources that lie in the range. It is an error
// when a host tool has to make the region first.
func (l *Layout) ReadAt(p []byte, off int64) error {
	for _, r := range l.onDisk() {
		if r.MadeByHost() && off < r.Offset+r.Size && r.Offset < off+int64(len(p)) {
			return fmt.Errorf("partition %q is made by a host tool: its bytes are not known before", r.Partition.Spec.Name)
		}
	}
	return extent.ReadAt(l, p, off)
}
