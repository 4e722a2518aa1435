package ext4

import (
	"fmt"
	"math"
	"sort"
	"sync/atomic"
)

// A fileMap finds the blocks of a file, in its extent tree (kernel: "Extent Tree") or its block map ("Direct/Indirect Block Addressing"). It
// reads the blocks of these when they are needed, and keeps the last one of each level. It is safe for concurrent use if read is.
type fileMap struct {
	fs      *frame
	root    [rootNodeSize]byte // i_block
	extents bool
	read    func(block int64) ([]byte, error)
	last    [maxTreeDepth + 1]atomic.Pointer[mapBlock]
}

type mapBlock struct {
	block int64
	b     []byte
}

// maxTreeDepth is the greatest depth of an extent tree: 2^32 blocks need no more.
const maxTreeDepth = 5

// directBlocks is the number of blocks that a block map lists in the inode.
const directBlocks = 12

// hole is the physical block of a mapping without blocks on the disk, whose bytes are zeros.
const hole = 0

// locate returns the mapping of block at of a file and of the blocks after it, as far as they lie in one run or in one hole. An extent that was
// allocated but never written is a hole.
func (m *fileMap) locate(at int64) (mapping, error) {
	if m.extents {
		return m.locateExtent(at)
	}
	return m.locateIndirect(at)
}

// block reads a block of the map, and keeps it as the last one of its level.
func (m *fileMap) block(block int64, level int) ([]byte, error) {
	if kept := m.last[level].Load(); kept != nil && kept.block == block {
		return kept.b, nil
	}
	if err := m.fs.checkBlocks(block, 1); err != nil {
		return nil, err
	}
	b, err := m.read(block)
	if err == nil {
		m.last[level].Store(&mapBlock{block, b})
	}
	return b, err
}

// checkBlocks returns an error for blocks that are not in the file system.
func (f *frame) checkBlocks(block, n int64) error {
	if block <= f.first || n > f.blocks-block {
		return fmt.Errorf("blocks %d to %d are not within %d and %d", block, block+n-1, f.first+1, f.blocks-1)
	}
	return nil
}

// A node of an extent tree as it is read.
type extentNode struct {
	b                   []byte
	entries, max, depth int
}

// parseExtentNode checks a node's header. The depth of the root is -1 when it is not known.
func parseExtentNode(b []byte, depth int) (n extentNode, err error) {
	n = extentNode{b, int(le.Uint16(b[2:])), int(le.Uint16(b[4:])), int(le.Uint16(b[6:]))}
	room := len(b)/extentSize - 1
	switch {
	case le.Uint16(b) != extentMagic:
		return n, fmt.Errorf("magic number 0x%04x of an extent tree's node, 0x%04x is expected", le.Uint16(b), extentMagic)
	case n.entries > n.max || n.max > room:
		return n, fmt.Errorf("extent tree's node with %d of %d entries, there is room for %d", n.entries, n.max, room)
	case depth >= 0 && n.depth != depth || n.depth > maxTreeDepth:
		return n, fmt.Errorf("extent tree's node has depth %d, %d is expected", n.depth, depth)
	case n.depth > 0 && n.entries == 0:
		return n, fmt.Errorf("extent tree's node of depth %d is empty", n.depth)
	}
	return n, nil
}

// first returns the first block in the file of entry i, be it an extent or an index.
func (n extentNode) first(i int) int64 { return int64(le.Uint32(n.b[extentSize*(1+i):])) }

// child returns the block that index i leads to.
func (n extentNode) child(i int) int64 {
	e := n.b[extentSize*(1+i):]
	return int64(le.Uint32(e[4:])) | int64(le.Uint16(e[8:]))<<32
}

// extent returns entry i of a leaf.
func (n extentNode) extent(i int) (m mapping, written bool) {
	e := n.b[extentSize*(1+i):]
	m = mapping{n.first(i), int64(le.Uint32(e[8:])) | int64(le.Uint16(e[6:]))<<32, int64(le.Uint16(e[4:]))}
	if m.blocks > maxExtent {
		m.blocks -= maxExtent
		return m, false
	}
	return m, true
}

// locateExtent is locate for an extent tree. It descends from the root to the last entry of each level that does not begin after at; the least
// beginning of an entry after it ends the hole, if at is in one.
func (m *fileMap) locateExtent(at int64) (mapping, error) {
	limit := int64(math.MaxUint32) + 1 // where the next entry of some level begins
	b, depth := m.root[:], -1
	for {
		n, err := parseExtentNode(b, depth)
		if err != nil {
			return mapping{}, err
		}
		i := sort.Search(n.entries, func(i int) bool { return n.first(i) > at }) - 1
		if i+1 < n.entries {
			limit = min(limit, n.first(i+1))
		}
		if i < 0 || n.depth == 0 {
			return m.inLeaf(n, i, at, limit)
		}
		if b, err = m.block(n.child(i), n.depth); err != nil {
			return mapping{}, err
		}
		depth = n.depth - 1
	}
}

// inLeaf returns the mapping in a leaf, whose entry i is the last one that does not begin after at.
func (m *fileMap) inLeaf(n extentNode, i int, at, limit int64) (mapping, error) {
	gap := mapping{at, hole, max(1, limit-at)}
	if i < 0 {
		return gap, nil
	}
	e, written := n.extent(i)
	skip := at - e.logical
	switch {
	case skip >= e.blocks:
		return gap, nil
	case !written:
		return mapping{at, hole, e.blocks - skip}, nil
	}
	if err := m.fs.checkBlocks(e.physical, e.blocks); err != nil {
		return mapping{}, fmt.Errorf("extent: %w", err)
	}
	return mapping{at, e.physical + skip, min(e.blocks-skip, gap.blocks)}, nil
}

// maxMapped returns the largest number of blocks of a block map.
func (f *frame) maxMapped() int64 {
	p := f.pointers()
	return directBlocks + p + p*p + p*p*p
}

// locateIndirect is locate for a block map: 12 blocks in the inode, then the blocks of a single, a double and a triple indirect block. It finds
// the level by subtracting what those before it map, and then takes a digit of the rest, in base p, at each level. A pointer of 0 is a hole.
func (m *fileMap) locateIndirect(at int64) (mapping, error) {
	if at < directBlocks {
		return m.inPointers(m.root[:4*directBlocks], at, at)
	}
	p := m.fs.pointers()
	rest, span, level := at-directBlocks, p, 1
	for ; rest >= span; level++ {
		if level == 3 {
			return mapping{}, fmt.Errorf("block %d is beyond what a block map can have", at)
		}
		rest -= span
		span *= p
	}
	block := int64(le.Uint32(m.root[4*(directBlocks+level-1):]))
	for ; level > 0; level-- {
		if block == 0 {
			return mapping{at, hole, span - rest}, nil
		}
		b, err := m.block(block, level)
		if err != nil {
			return mapping{}, fmt.Errorf("indirect block: %w", err)
		}
		span /= p // blocks below each pointer
		if level == 1 {
			return m.inPointers(b, rest, at)
		}
		block = int64(le.Uint32(b[4*(rest/span):]))
		rest %= span
	}
	panic("unreachable")
}

// inPointers returns the mapping from pointer i of a list on.
func (m *fileMap) inPointers(b []byte, i, at int64) (mapping, error) {
	first := int64(le.Uint32(b[4*i:]))
	n := int64(1)
	for ; 4*(i+n) < int64(len(b)); n++ {
		next := int64(le.Uint32(b[4*(i+n):]))
		if first == hole && next != hole || first != hole && next != first+n {
			break
		}
	}
	if first != hole {
		if err := m.fs.checkBlocks(first, n); err != nil {
			return mapping{}, err
		}
	}
	return mapping{at, first, n}, nil
}
