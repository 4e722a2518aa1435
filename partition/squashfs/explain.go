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
		return "metadata of " + p.table
	case pointerUse:
		return "pointer to the table of " + p.table
	case fragmentUse:
		return fmt.Sprintf("fragment %d", p.index)
	}
	return "block of " + a.path(p.of)
}

// superFields are the fields of the superblock.
var superFields = span.Row(
	span.Field{Len: 4, Name: "s_magic"}, span.Field{Len: 4, Name: "inodes"}, span.Field{Len: 4, Name: "mkfs_time"}, span.Field{Len: 4, Name: "block_size"},
	span.Field{Len: 4, Name: "fragments"}, span.Field{Len: 2, Name: "compression"}, span.Field{Len: 2, Name: "block_log"}, span.Field{Len: 2, Name: "flags"},
	span.Field{Len: 2, Name: "no_ids"}, span.Field{Len: 2, Name: "s_major"}, span.Field{Len: 2, Name: "s_minor"}, span.Field{Len: 8, Name: "root_inode"},
	span.Field{Len: 8, Name: "bytes_used"}, span.Field{Len: 8, Name: "id_table_start"}, span.Field{Len: 8, Name: "xattr_id_table_start"},
	span.Field{Len: 8, Name: "inode_table_start"}, span.Field{Len: 8, Name: "directory_table_start"}, span.Field{Len: 8, Name: "fragment_table_start"},
	span.Field{Len: 8, Name: "lookup_table_start"},
)

// Explain says what the byte at an offset of the region belongs to, such as "superblock, mkfs_time", "metadata of inodes, byte 5" or "file /etc/passwd, byte
// 5". Of a packed block it can say only which bytes of the file are in it.
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
		return fmt.Sprintf("packed bytes %d to %d of file %s, byte %d", p.from, p.from+p.size-1, a.path(p.of), at)
	case p.use == fragmentUse:
		return a.explainFragment(p, at)
	}
	return fmt.Sprintf("%s, byte %d", a.name(p), at)
}

// explainFragment explains a byte of a fragment: the file whose tail it is, or how many have theirs in it.
func (a *audit) explainFragment(p piece, at int64) string {
	tails := a.tails[p.index]
	if !p.plain {
		return fmt.Sprintf("packed fragment %d with the ends of %d files, byte %d", p.index, len(tails), at)
	}
	for _, n := range tails {
		if size := n.size % a.blockSize; at >= int64(n.tailAt) && at < int64(n.tailAt)+size {
			return fmt.Sprintf("file %s, byte %d", a.path(n), n.size-size+at-int64(n.tailAt))
		}
	}
	return fmt.Sprintf("fragment %d, unused", p.index)
}
