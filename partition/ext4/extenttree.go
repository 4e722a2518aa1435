package ext4

import "imprint/internal/units"

// Extent trees (kernel: "Extent Tree"). A node is a header of 12 bytes and entries of 12 bytes; the root has room for four in the
// inode, every other node fills a block and ends with a checksum.
const (
	extentMagic  = 0xf30a
	extentSize   = 12 // of a header, an index and an extent alike
	rootEntries  = 4
	rootNodeSize = extentSize * (1 + rootEntries)
)

// nodeEntries returns the number of entries in a block of an extent tree.
func (f *format) nodeEntries() int64 { return (f.blockSize - extentSize - 4) / extentSize }

// treeLevels returns the number of entries in each level of the tree over a number of extents: the extents themselves, the blocks that hold
// them (the leaves), the blocks above those, up to the level that fits into the root.
func (f *format) treeLevels(extents int64) []int64 {
	levels := []int64{extents}
	for extents > rootEntries {
		extents = units.Blocks(extents, f.nodeEntries())
		levels = append(levels, extents)
	}
	return levels
}

// treeBlocks returns the number of blocks that the tree over a number of extents takes; the root is in the inode.
func (f *format) treeBlocks(extents int64) (blocks int64) {
	for extents > rootEntries {
		extents = units.Blocks(extents, f.nodeEntries())
		blocks += extents
	}
	return blocks
}

// An extentTree is the tree over the extents of one inode. Its blocks follow the content on the tape: first the leaves, then each level above
// them.
type extentTree struct {
	*format
	tape    tape
	extents []mapping
	at      int64 // tape position of the tree's first block
}

// root writes the node in the inode, rootNodeSize bytes.
func (t *extentTree) root(b []byte) {
	if n := int64(len(t.extents)); n <= rootEntries { // as in nearly all inodes
		t.node(b, treeNode{count: n, max: rootEntries})
		return
	}
	levels := t.treeLevels(int64(len(t.extents)))
	top := len(levels) - 1
	t.node(b, treeNode{depth: top, count: levels[top], max: rootEntries, children: t.levelStart(levels, top)})
}

// block writes block i of the tree into a block of zeros, with a checksum that continues the inode's.
func (t *extentTree) block(b []byte, i int64, sum checksum) {
	levels := t.treeLevels(int64(len(t.extents)))
	level := 1
	for i >= levels[level] {
		i -= levels[level]
		level++
	}
	first := i * t.nodeEntries()
	t.node(b, treeNode{
		depth: level - 1, first: first, count: min(t.nodeEntries(), levels[level-1]-first), max: t.nodeEntries(),
		children: t.levelStart(levels, level-1),
	})
	if t.features.has(metadataCsum) {
		tail := extentSize * (1 + t.nodeEntries())
		le.PutUint32(b[tail:], uint32(sum.over(b[:tail])))
	}
}

// levelStart returns the tape position of the first block of a level, from 1 on: level 0 is the extents themselves.
func (t *extentTree) levelStart(levels []int64, level int) int64 {
	at := t.at
	for i := 1; i < level; i++ {
		at += levels[i]
	}
	return at
}

// A treeNode describes the content of a node.
type treeNode struct {
	depth    int   // 0: extents, else indexes
	first    int64 // index in the level of the node's first entry
	count    int64
	max      int64
	children int64 // tape position of the block that the level's first entry points to
}

// node writes a node: a header with magic number, number of entries, capacity and depth (2 bytes each, then 4 bytes of generation), and the
// entries. A node at depth n has entries for the nodes at depth n-1, each of which covers as many extents as a full tree of that depth.
func (t *extentTree) node(b []byte, n treeNode) {
	le.PutUint16(b[0:], extentMagic)
	le.PutUint16(b[2:], uint16(n.count))
	le.PutUint16(b[4:], uint16(n.max))
	le.PutUint16(b[6:], uint16(n.depth))
	span := int64(1) // extents below one entry
	for range n.depth {
		span *= t.nodeEntries()
	}
	for i := range n.count {
		entry := b[extentSize*(1+i):]
		e := t.extents[(n.first+i)*span]
		if n.depth == 0 {
			putExtent(entry, e)
			continue
		}
		child, _ := t.tape.physical(n.children + n.first + i)
		putIndex(entry, e.logical, child)
	}
}

// putExtent writes an entry of a leaf: first block in the file (4 bytes), number of blocks (2), block on the disk (upper 2, lower 4).
func putExtent(b []byte, m mapping) {
	le.PutUint32(b[0:], uint32(m.logical))
	le.PutUint16(b[4:], uint16(m.blocks)) // up to 32768; larger values mark an extent as unwritten
	le.PutUint16(b[6:], uint16(m.physical>>32))
	le.PutUint32(b[8:], uint32(m.physical))
}

// putIndex writes an entry of an inner node: first block in the file (4 bytes), block of the child (lower 4, upper 2).
func putIndex(b []byte, logical, block int64) {
	le.PutUint32(b[0:], uint32(logical))
	le.PutUint32(b[4:], uint32(block))
	le.PutUint16(b[8:], uint16(block>>32))
}
