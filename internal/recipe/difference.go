package recipe

import (
	"imprint/internal/objects"
	"imprint/internal/tree"
)

// A backing says where a byte of a disk comes from: the digest of its content, and the distance of the byte's offset there from that on the disk.
// The zero value is that of zeros.
type backing struct {
	digest objects.Digest
	shift  int64
	data   bool
}

// A walk is a position in a disk.
type walk struct {
	*Recipe
	next int // the first run that ends after the position
}

// at returns the backing of the byte at off, which does not lie before that of an earlier call, and the offset where that may change.
func (w *walk) at(off int64) (b backing, end int64) {
	for w.next < len(w.Runs) && w.Runs[w.next].End() <= off {
		w.next++
	}
	if w.next == len(w.Runs) {
		return b, w.Size
	}
	run := w.Runs[w.next]
	if off < run.Off {
		return b, run.Off
	}
	return backing{w.Contents[run.Content].Digest, run.At - run.Off, true}, run.End()
}

// Difference returns the ranges of the disk r whose bytes may be other ones on the disk old: they come from other contents, or from other
// places in them. After the end of old, zeros count as equal.
func (r *Recipe) Difference(old *Recipe) (list []tree.Range) {
	a, b := walk{Recipe: r}, walk{Recipe: old}
	for off := int64(0); off < r.Size; {
		x, end := a.at(off)
		y, stop := b.at(off)
		if stop > off {
			end = min(end, stop)
		}
		if x != y {
			list = grow(list, off, end)
		}
		off = end
	}
	return list
}
