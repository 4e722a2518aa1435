package iso9660

import (
	"iter"
	"sort"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// metaChunk is the largest extent of structure in blocks, so that several workers can generate it.
const metaChunk = 512

// Extents yields the extents of the image that end after from, a byte offset, in the order of their offsets. Bytes that no extent covers,
// such as the system area, are zero. With this method a Plan is an [extent.Source].
func (p *Plan) Extents(from int64) iter.Seq[extent.Extent] {
	return func(yield func(extent.Extent) bool) {
		if p.yieldStructure(from, yield) {
			p.yieldFiles(from, yield)
		}
	}
}

// yieldStructure yields the extents of structure that end after from. They begin at the same offsets whatever from is, since a caller compares
// extents by their offsets.
func (p *Plan) yieldStructure(from int64, yield func(extent.Extent) bool) bool {
	first := sort.Search(len(p.pieces), func(i int) bool { return p.pieces[i].end*block > from })
	for _, s := range p.pieces[first:] {
		at := s.start
		if skip := from/block - at; skip > 0 {
			at += skip / metaChunk * metaChunk
		}
		for ; at < s.end; at += metaChunk {
			if !yield(s.extent(at, min(metaChunk, s.end-at))) {
				return false
			}
		}
	}
	return true
}

// extent returns an extent of blocks of a piece, which are generated when they are read.
func (s piece) extent(at, blocks int64) extent.Extent {
	read := func(p []byte, off int64) { s.read(p, (at-s.start)*block+off) }
	return extent.Extent{Off: at * block, Len: blocks * block, Blob: extent.Generated(blocks*block, read), Meta: true}
}

// read generates the bytes of a piece from off on.
func (s piece) read(b []byte, off int64) {
	clear(b)
	for len(b) > 0 {
		i, skip := off/block, off%block
		n := min(block-skip, int64(len(b)))
		if n == block {
			s.put(b[:n:n], i)
		} else {
			var whole [block]byte
			s.put(whole[:], i)
			copy(b, whole[skip:skip+n])
		}
		b, off = b[n:], off+n
	}
}

// yieldFiles yields the extents of contents that end after from. The table of first blocks is sorted, so that a search finds the first file.
func (p *Plan) yieldFiles(from int64, yield func(extent.Extent) bool) {
	at := max(0, from/block-p.files)
	var buf []extent.Extent
	for id := sort.Search(p.tree.Len(), func(id int) bool { return int64(p.at[id+1]) > at }); id < p.tree.Len(); id++ {
		if p.at[id] == p.at[id+1] {
			continue
		}
		buf = p.Place(buf[:0], p.tree.Node(id))
		for _, e := range buf {
			if e.End() > from && !yield(e) {
				return
			}
		}
	}
}

// Place appends the extents of a File's content to dst, in the order of its bytes, without the holes of a sparse file. Names of one file
// share its extents; other files with the same blob have their own. The blob of a BIOS image is the patched one, not the node's.
func (p *Plan) Place(dst []extent.Extent, n *tree.Node) []extent.Extent {
	n = n.Inode()
	if n.Kind() != tree.File {
		return dst
	}
	start, blob := p.fileStart(n.ID())*block, n.Blob()
	if p.bios != nil && p.bios.id == n.ID() {
		blob = p.bios
	}
	sparse, ok := blob.(tree.SparseBlob)
	if !ok {
		if size := blob.Size(); size > 0 {
			dst = append(dst, extent.Extent{Off: start, Len: size, Blob: blob})
		}
		return dst
	}
	for _, r := range sparse.Data() {
		if r.Len > 0 {
			dst = append(dst, extent.Extent{Off: start + r.Off, Len: r.Len, Blob: blob, At: r.Off})
		}
	}
	return dst
}
