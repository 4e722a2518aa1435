package erofs

import (
	"iter"
	"sort"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// metaChunk is the largest extent of structure in bytes, so that several workers can generate it.
const metaChunk = 1 << 20

// Extents yields the extents of the file system that end after from, a byte offset, in the order of their offsets. Bytes that no extent
// covers are zero. With this method a Plan is an [extent.Source].
func (p *Plan) Extents(from int64) iter.Seq[extent.Extent] {
	return func(yield func(extent.Extent) bool) {
		_ = p.yieldChunks(from, yield) && p.yieldTails(from, yield) && p.yieldFiles(from, yield)
	}
}

// structure is a blob of the file system up to the blocks of files, in which all structure lies, without the contents of files.
func (p *Plan) structure() tree.Blob { return extent.Generated(p.filesAt()*blockSize, p.read) }

// yieldChunks yields everything before the inodes with tails.
func (p *Plan) yieldChunks(from int64, yield func(extent.Extent) bool) bool {
	blob, end := p.structure(), p.tailsAt()*blockSize
	if from >= end {
		return true
	}
	for at := from / metaChunk * metaChunk; at < end; at += metaChunk {
		if !yield(extent.Extent{Off: at, Len: min(metaChunk, end-at), Blob: blob, At: at, Meta: true}) {
			return false
		}
	}
	return true
}

// yieldTails yields each inode with a tail, and the tail.
func (p *Plan) yieldTails(from int64, yield func(extent.Extent) bool) bool {
	if from >= p.filesAt()*blockSize {
		return true
	}
	blob, first := p.structure(), len(p.order)-p.inlined
	inodes := p.order[first:]
	i := sort.Search(len(inodes), func(i int) bool { return p.place(inodes[i]) > from })
	var buf []extent.Extent
	for _, id := range inodes[max(0, i-1):] {
		n := p.tree.Node(int(id))
		e := p.entry(n)
		at := p.place(id)
		buf = append(buf[:0], extent.Extent{Off: at, Len: e.header, Blob: blob, At: at, Meta: true})
		buf = p.placeTail(buf, n, e)
		if !yieldAfter(from, buf, yield) {
			return false
		}
	}
	return true
}

// yieldFiles yields the blocks of files.
func (p *Plan) yieldFiles(from int64, yield func(extent.Extent) bool) bool {
	block := from/blockSize - p.filesAt()
	first := sort.Search(p.tree.Len(), func(id int) bool { return int64(p.at[id+1]) > block })
	var buf []extent.Extent
	for id := first; id < p.tree.Len(); id++ {
		if p.at[id] == p.at[id+1] {
			continue
		}
		n := p.tree.Node(id)
		buf = p.placeBlocks(buf[:0], n, p.entry(n))
		if !yieldAfter(from, buf, yield) {
			return false
		}
	}
	return true
}

// yieldAfter yields those extents that end after an offset.
func yieldAfter(from int64, list []extent.Extent, yield func(extent.Extent) bool) bool {
	for _, e := range list {
		if e.End() > from && !yield(e) {
			return false
		}
	}
	return true
}

// Place appends the extents of a file's content to dst, in the order of its bytes. Holes of a sparse file have none, and neither do blocks
// that belong to an earlier file with the same blob. Nodes of other kinds have no extents.
func (p *Plan) Place(dst []extent.Extent, n *tree.Node) []extent.Extent {
	n = n.Inode()
	if n.Kind() != tree.File {
		return dst
	}
	e := p.entry(n)
	if p.at[n.ID()] != p.at[n.ID()+1] {
		dst = p.placeBlocks(dst, n, e)
	}
	return p.placeTail(dst, n, e)
}

// placeBlocks appends the part of a file before its tail.
func (p *Plan) placeBlocks(dst []extent.Extent, n *tree.Node, e entry) []extent.Extent {
	return placePart(dst, n.Blob(), tree.Range{Off: 0, Len: e.size - e.tail}, p.fileAt(int32(n.ID()))*blockSize)
}

func (p *Plan) placeTail(dst []extent.Extent, n *tree.Node, e entry) []extent.Extent {
	return placePart(dst, n.Blob(), tree.Range{Off: e.size - e.tail, Len: e.tail}, p.place(int32(n.ID()))+e.header)
}

// placePart appends the extents of a part of a blob, which lies at off, without its holes.
func placePart(dst []extent.Extent, b tree.Blob, part tree.Range, off int64) []extent.Extent {
	for _, d := range tree.DataOf(b) {
		from, to := max(d.Off, part.Off), min(d.Off+d.Len, part.Off+part.Len)
		if from < to {
			dst = append(dst, extent.Extent{Off: off + from - part.Off, Len: to - from, Blob: b, At: from})
		}
	}
	return dst
}
