package squashfs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"imprint/internal/span"
)

// inOrder returns the inodes in the order of their table.
func (a *audit) inOrder() []*audited {
	return slices.SortedFunc(maps.Values(a.found), func(x, y *audited) int { return cmp.Compare(x.ref, y.ref) })
}

// space reports bytes that two structures use.
func (a *audit) space() {
	if a.full {
		return
	}
	for one, two := range a.spans.Overlaps() {
		a.fault(two.Off, two.What.of, a.name(two.What), fmt.Sprintf("bytes %d to %d are those of %s too, which has %d to %d",
			two.Off, two.End()-1, a.name(one.What), one.Off, one.End()-1))
	}
}

// name names a piece.
func (a *audit) name(p piece) string {
	switch p.use {
	case superUse:
		return "superblock"
	case optionsUse:
		return "options of the compressor"
	case metadataUse:
		return "metadata block of " + p.table
	case pointerUse:
		return "pointer to the table of " + p.table
	case fragmentUse:
		return fmt.Sprintf("fragment %d", p.index)
	}
	return "block of " + a.path(p.of)
}

// superFields are the fields of the superblock.
var superFields = span.Fields(superblock{})

// Explain says what the byte at an offset of the region belongs to, such as "superblock, MkfsTime", "metadata block of inodes, byte 5 of 913" or "file
// /etc/passwd, byte 5". Of a packed block it can say only which bytes of the file are in it.
func (v *Volume) Explain(off int64) string {
	if off < 0 || off >= v.Size {
		return "after the file system"
	}
	a := v.all()
	s, ok := a.spans.At(off)
	if !ok {
		return "unused"
	}
	p, at := s.What, off-s.Off
	switch {
	case p.use == superUse:
		f, _ := superFields.At(at)
		return "superblock, " + f.What
	case p.use == blockUse && p.plain:
		return fmt.Sprintf("file %s, byte %d", a.path(p.of), p.from+at)
	case p.use == blockUse:
		return fmt.Sprintf("packed block of bytes %d to %d of the file %s, byte %d of %d", p.from, p.from+p.size-1, a.path(p.of), at, s.Len)
	case p.use == fragmentUse:
		return a.explainFragment(p, s, at)
	}
	return fmt.Sprintf("%s, byte %d of %d", a.name(p), at, s.Len)
}

// explainFragment explains a byte of a fragment: the file whose tail it is, or how many have theirs in it.
func (a *audit) explainFragment(p piece, s span.Span[piece], at int64) string {
	var tails []*audited
	for _, n := range a.inOrder() {
		if n.size%a.blockSize == 0 || n.blocks == (place{}) || int(n.inode.fragment) != p.index {
			continue
		}
		if from := int64(n.tailAt); p.plain && at >= from && at < from+n.size%a.blockSize {
			return fmt.Sprintf("file %s, byte %d", a.path(n), n.size-n.size%a.blockSize+at-from)
		}
		tails = append(tails, n)
	}
	of := "of no file"
	switch len(tails) {
	case 0:
	case 1:
		of = "of the file " + a.path(tails[0])
	default:
		of = fmt.Sprintf("of %d files, the first of which is %s", len(tails), a.path(tails[0]))
	}
	if p.plain {
		return fmt.Sprintf("fragment %d, unused", p.index)
	}
	return fmt.Sprintf("packed fragment %d with the end %s, byte %d of %d", p.index, of, at, s.Len)
}
