package ext4

import (
	"iter"
	"sort"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// metaChunk is the largest extent of metadata in blocks, so that several workers can generate it.
const metaChunk = 1024

// Extents implements [extent.Source]: it yields the extents of the file system that end after the byte offset from, in the order of their
// offsets. Bytes that no extent covers are zero.
func (p *Plan) Extents(from int64) iter.Seq[extent.Extent] {
	return func(yield func(extent.Extent) bool) {
		fixed := p.g.fixed
		fixed = fixed[sort.Search(len(fixed), func(i int) bool { return fixed[i].end()*p.blockSize > from }):]
		for e := range p.contentExtents(from) {
			for len(fixed) > 0 && fixed[0].start*p.blockSize < e.Off {
				if !p.yieldStructure(fixed[0], from, yield) {
					return
				}
				fixed = fixed[1:]
			}
			if !yield(e) {
				return
			}
		}
		for _, f := range fixed {
			if !p.yieldStructure(f, from, yield) {
				return
			}
		}
	}
}

// yieldStructure yields the part of a fixed structure that is not all zeros, if there is one and it ends after the byte offset from.
func (p *Plan) yieldStructure(f structure, from int64, yield func(extent.Extent) bool) bool {
	var e extent.Extent
	switch f.kind {
	case superCopy:
		e = p.generated(f.start, p.superCopyBlocks(f.group), func(b []byte, i int64) { p.putSuperCopy(b, f.group, i) })
	case blockBitmaps:
		e = p.generated(f.start, p.writtenGroups(f, blockUninit), func(b []byte, i int64) { p.putBlockBitmap(b, f.group+i) })
	case inodeBitmaps:
		e = p.generated(f.start, p.writtenGroups(f, inodeUninit), func(b []byte, i int64) { p.putInodeBitmap(b, f.group+i) })
	case inodeTable:
		first := uint32(f.group*p.g.inodesPerGroup) + 1
		inodes := records{size: inodeSize, count: int64(p.inodesIn[f.group].end), put: func(b []byte, i int64) { p.putInode(b, first+uint32(i)) }}
		e = extent.Extent{Off: f.start * p.blockSize, Len: inodes.count * inodeSize, Blob: inodes.blob(), Meta: true}
	}
	return e.Len == 0 || e.End() <= from || yield(e)
}

// writtenGroups returns the number of bitmaps of a flex group up to the last one that is written, because its group lacks the flag.
func (p *Plan) writtenGroups(f structure, flag uint16) int64 {
	for n := f.blocks; n > 0; n-- {
		if p.flags(f.group+n-1)&flag == 0 {
			return n
		}
	}
	return 0
}

// generated returns an extent of metadata blocks, which are generated when they are read.
func (p *Plan) generated(block, count int64, put func(b []byte, i int64)) extent.Extent {
	u := records{size: p.blockSize, count: count, put: put}
	return extent.Extent{Off: block * p.blockSize, Len: count * p.blockSize, Blob: u.blob(), Meta: true}
}

// records are structures of the same size, one after the other.
type records struct {
	size, count int64
	put         func(b []byte, i int64) // writes structure i into zeros
}

// blob returns a blob of the structures, which are generated when they are read.
func (r records) blob() tree.Blob { return extent.Generated(r.size*r.count, r.read) }

// read generates the bytes from off on. A structure that b holds whole is written in place, since most are; the first and the last may need a
// copy.
func (r records) read(b []byte, off int64) {
	clear(b)
	for len(b) > 0 {
		i, skip := off/r.size, off%r.size
		n := min(r.size-skip, int64(len(b)))
		if n == r.size {
			r.put(b[:n:n], i)
		} else {
			whole := make([]byte, r.size)
			r.put(whole, i)
			copy(b, whole[skip:skip+n])
		}
		b, off = b[n:], off+n
	}
}
