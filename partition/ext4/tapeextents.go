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
		_ = p.yieldMeta(at/metaChunk*metaChunk, p.sections.journal, yield) && p.yieldJournal(yield) && p.yieldFiles(at, yield)
	}
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

// putTapeBlock writes the block at a tape position before the journal's.
func (p *Plan) putTapeBlock(b []byte, at int64) {
	switch s := p.sections; {
	case at >= s.xattrs:
		p.putXattrBlock(b, at)
	case at >= s.symlinks:
		copy(b, p.node(p.slow[at-s.symlinks]).Target())
	case at >= s.dirs:
		p.putDirTapeBlock(b, at)
	default:
		p.putResizeMap(b)
	}
}

// putXattrBlock writes the block of extended attributes at a tape position.
func (p *Plan) putXattrBlock(b []byte, at int64) {
	x := p.xattrs.blocks[at-p.sections.xattrs]
	putXattrBlock(b, x.xattrs, x.refs)
	if p.features.has(metadataCsum) {
		block, _ := p.g.tape.physical(at)
		putXattrChecksum(b, block, p.sum)
	}
}

// putDirTapeBlock writes a block of a directory, or of its extent tree, which follows it on the tape.
func (p *Plan) putDirTapeBlock(b []byte, at int64) {
	i := sort.Search(len(p.dirs), func(i int) bool { return int64(p.dirs[i].at) > at })
	d := &p.dirs[i-1]
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
	if p.g.journal == 0 {
		return true
	}
	at := p.sections.journal
	block, _ := p.g.tape.physical(at)
	super := p.generated(block, 1, func(b []byte, _ int64) { p.putJournalSuper(b) })
	return yield(super) && p.yieldTree([]run{{0, p.g.journal}}, at, journalInode, yield)
}

// yieldTree yields the blocks of the extent tree of an inode with runs at a tape position.
func (p *Plan) yieldTree(runs []run, at int64, ino uint32, yield func(extent.Extent) bool) bool {
	t := p.extentTree(nil, runs, at)
	sum := p.sum.inode(ino)
	blocks := []run{{0, p.treeBlocks(int64(len(t.extents)))}}
	for _, m := range p.g.tape.mappings(nil, blocks, t.at) {
		if !yield(p.generated(m.physical, m.blocks, func(b []byte, i int64) { t.block(b, m.logical+i, sum) })) {
			return false
		}
	}
	return true
}

// yieldFiles yields the extents of files, and their extent trees, from a tape position on.
func (p *Plan) yieldFiles(at int64, yield func(extent.Extent) bool) bool {
	first := sort.Search(p.tree.Len(), func(id int) bool { return int64(p.at[id+1]) > at })
	var buf []extent.Extent
	for id := first; id < p.tree.Len(); id++ {
		if p.at[id] == p.at[id+1] {
			continue
		}
		n := p.tree.Node(id)
		buf = p.Place(buf[:0], n)
		for _, e := range buf {
			if !yield(e) {
				return false
			}
		}
		if len(buf) > rootEntries && !p.yieldTree(p.fileRuns(nil, n), int64(p.at[id]), p.ino[id], yield) {
			return false
		}
	}
	return true
}

// Place appends the extents of a File's content, in the order of its bytes. Holes of a sparse file have none.
func (p *Plan) Place(dst []extent.Extent, n *tree.Node) []extent.Extent {
	n = n.Inode()
	if n.Kind() != tree.File {
		return dst
	}
	var runs [1]run
	var maps [rootEntries]mapping
	size := n.Size()
	for _, m := range p.g.tape.mappings(maps[:0], p.fileRuns(runs[:0], n), int64(p.at[n.ID()])) {
		at := m.logical * p.blockSize
		dst = append(dst, extent.Extent{Off: m.physical * p.blockSize, Len: min(m.blocks*p.blockSize, size-at), Blob: n.Blob(), At: at})
	}
	return dst
}
