package ext4

import (
	"iter"
	"sort"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// contentExtents yields the extents on the tape that end after from.
func (p *Plan) contentExtents(from int64) iter.Seq[extent.Extent] {
	return func(yield func(extent.Extent) bool) {
		yield = endingAfter(from, yield)
		at := p.g.tape.position(from / p.blockSize)
		for _, s := range p.segmentsFrom(at) {
			if !p.yieldSegment(s, at, yield) {
				return
			}
		}
	}
}

// yieldSegment yields the extents of a segment from about a position on.
func (p *Plan) yieldSegment(s segment, at int64, yield func(extent.Extent) bool) bool {
	switch s.kind {
	case journalSegment:
		return p.yieldJournal(yield)
	case filesSegment:
		return p.yieldFiles(s, at, yield)
	}
	return p.yieldMeta(max(s.From, at/metaChunk*metaChunk), s.To, yield)
}

// endingAfter passes on the extents that end after from.
func endingAfter(from int64, yield func(extent.Extent) bool) func(extent.Extent) bool {
	return func(e extent.Extent) bool { return e.End() <= from || yield(e) }
}

// yieldMeta yields the generated blocks between two tape positions, in chunks that are contiguous on the disk.
func (p *Plan) yieldMeta(at, end int64, yield func(extent.Extent) bool) bool {
	for at < end {
		block, n := p.g.tape.physical(at)
		n = min(n, end-at, metaChunk-at%metaChunk)
		start := at
		if !yield(p.generated(block, n, func(b []byte, i int64) { p.putTapeBlock(b, start+i) })) {
			return false
		}
		at += n
	}
	return true
}

// putTapeBlock writes the block at a tape position that is generated.
func (p *Plan) putTapeBlock(b []byte, at int64) {
	switch m := p.metaAt(at); m.kind {
	case xattrShared:
		p.putXattrBlock(b, int(m.index), at)
	case linkTarget:
		copy(b, p.node(p.slow[m.index]).Target())
	case dirBlocks:
		p.putDirTapeBlock(b, &p.dirs[m.index], at)
	default:
		p.putResizeMap(b)
	}
}

// putXattrBlock writes a block of extended attributes, which is at that tape position.
func (p *Plan) putXattrBlock(b []byte, index int, at int64) {
	x := p.xattrs.blocks[index]
	putXattrBlock(b, x.xattrs, x.refs)
	if p.features.has(metadataCsum) {
		block, _ := p.g.tape.physical(at)
		putXattrChecksum(b, block, p.sum)
	}
}

// putDirTapeBlock writes a block of a directory, or of its extent tree, which follows it on the tape.
func (p *Plan) putDirTapeBlock(b []byte, d *dir, at int64) {
	sum := p.sum.inode(p.ino[d.id])
	if n := at - int64(d.at); n < int64(d.blocks) {
		p.putDirBlock(b, d, n, sum)
		return
	}
	t := p.extentTree(nil, []run{{0, int64(d.blocks)}}, int64(d.at))
	t.block(b, at-t.at, sum)
}

// yieldJournal yields the journal's superblock, and the blocks of its extent tree; the rest of it is zero.
func (p *Plan) yieldJournal(yield func(extent.Extent) bool) bool {
	block, _ := p.g.tape.physical(p.journal)
	super := p.generated(block, 1, func(b []byte, _ int64) { p.putJournalSuper(b) })
	t := p.extentTree(nil, []run{{0, p.g.journal}}, p.journal)
	return yield(super) && p.yieldTree(&t, journalInode, yield)
}

// yieldTree yields the blocks of the extent tree of an inode.
func (p *Plan) yieldTree(t *extentTree, ino uint32, yield func(extent.Extent) bool) bool {
	sum := p.sum.inode(ino)
	blocks := []run{{0, p.treeBlocks(int64(len(t.extents)))}}
	for _, m := range p.g.tape.mappings(nil, blocks, t.at) {
		if !yield(p.generated(m.physical, m.blocks, func(b []byte, i int64) { t.block(b, m.logical+i, sum) })) {
			return false
		}
	}
	return true
}

// yieldFiles yields the extents of the files of a segment, and their extent trees, from a tape position on.
func (p *Plan) yieldFiles(s segment, at int64, yield func(extent.Extent) bool) bool {
	first := s.first + sort.Search(s.last-s.first, func(i int) bool { return p.fileEnd(s.first+i) > at })
	var buf []mapping
	for i := first; i < s.last; i++ {
		n, piece := p.file(i)
		if n == nil {
			continue
		}
		if buf = buf[:0]; piece == wholeFile {
			buf = p.fileMappings(buf, n)
		} else if own := p.split[int32(n.ID())]; int(piece) < len(own.pieces) {
			buf = p.pieceMappings(buf, p.fileRuns(nil, n), own, int(piece))
		}
		for _, m := range buf {
			if !yield(p.contentOf(n, m)) {
				return false
			}
		}
		if piece == wholeFile && len(buf) <= rootEntries || len(buf) > 0 && piece != wholeFile {
			continue
		}
		if t, _ := p.fileTree(nil, n); !p.yieldTree(&t, p.ino[n.ID()], yield) {
			return false
		}
	}
	return true
}

// fileEnd returns the position after the file, or the piece of one, with an index in their order.
func (p *Plan) fileEnd(i int) int64 {
	if p.order == nil {
		return int64(p.at[i+1])
	}
	return int64(p.order[i].at) + int64(p.order[i].blocks)
}

// file returns the file with an index in their order, or nil if it has no blocks there, and which piece of it that is.
func (p *Plan) file(i int) (n *tree.Node, piece int32) {
	if p.order != nil {
		return p.tree.Node(int(p.order[i].id)), p.order[i].piece
	}
	if p.at[i] == p.at[i+1] {
		return nil, wholeFile
	}
	return p.tree.Node(i), wholeFile
}

// contentOf returns an extent of a file's content.
func (p *Plan) contentOf(n *tree.Node, m mapping) extent.Extent {
	at := m.logical * p.blockSize
	return extent.Extent{Off: m.physical * p.blockSize, Len: min(m.blocks*p.blockSize, n.Size()-at), Blob: n.Blob(), At: at}
}

// Place appends the extents of a File's content, in the order of its bytes. Holes of a sparse file have none.
func (p *Plan) Place(dst []extent.Extent, n *tree.Node) []extent.Extent {
	n = n.Inode()
	if n.Kind() != tree.File {
		return dst
	}
	var maps [rootEntries]mapping
	for _, m := range p.fileMappings(maps[:0], n) {
		dst = append(dst, p.contentOf(n, m))
	}
	return dst
}
