package ext4

import (
	"imprint/internal/tree"
	"imprint/internal/units"
)

// checkMap checks the blocks of an inode, and its size against them.
func (c *inodeCheck) checkMap(kind tree.Kind) {
	switch {
	case c.Flags&inlineFlag != 0:
		c.checkInline()
		return
	case c.Flags&extentsFlag != 0:
		c.checkExtents(extentPart{b: c.Block[:], depth: -1, hi: maxFileBlocks + 1, at: c.at + 0x28})
	default:
		c.checkBlockMap()
	}
	size, bs := c.size(), c.blockSize
	switch {
	case kind == tree.Dir:
		if !c.features.has(largeDir) {
			size = int64(c.SizeLo)
		}
		if size != c.end*bs || size == 0 {
			c.fault("directory of %d bytes, %d blocks are mapped", size, c.end)
		}
	case c.checkSize(&c.inode) != nil:
		c.fault("%v", c.checkSize(&c.inode))
	case c.written > 0 && size < (c.written-1)*bs && c.Flags&verityFlag == 0:
		c.fault("i_size is %d, block %d was written", size, c.written-1)
	}
}

// content claims a run of blocks of the inode's content.
func (c *inodeCheck) content(m mapping, written bool) {
	kind := contentClaim
	if !written {
		kind = unwrittenClaim
	} else {
		c.written = max(c.written, m.logical+m.blocks)
	}
	c.end = max(c.end, m.logical+m.blocks)
	// i_blocks counts whole clusters, and consecutive runs may share a cluster.
	from, to := m.physical/c.ratio, (m.physical+m.blocks-1)/c.ratio
	c.clusters += to - from + 1
	if from == c.lastCluster {
		c.clusters--
	}
	c.lastCluster = to
	if s := c.states.find(int64(c.number)); !c.claim(claim{m.physical, m.blocks, kind, int64(c.number), m.logical}, c.fault) && s != nil {
		s.marks |= sharedMark
	}
}

// mapBlock claims and reads a block of the inode's map; nil if it cannot be used.
func (c *inodeCheck) mapBlock(block int64, level int) []byte {
	if err := c.checkBlocks(block, 1); err != nil {
		c.fault("block of the map: %v", err)
		return nil
	}
	c.clusters++
	if !c.claim(claim{block, 1, mapClaim, int64(c.number), int64(level)}, c.fault) {
		return nil
	}
	b, err := c.readBlock(block)
	if err != nil {
		c.fault("block of the map: %v", err)
		return nil
	}
	return b
}

// An extentPart is a node of an extent tree, with the depth and the range of blocks that it must have.
type extentPart struct {
	b      []byte
	depth  int   // -1 for the root
	lo, hi int64 // blocks of the file that it may map; below the root, the first one is lo
	at     int64 // offset in bytes
}

// checkExtents checks a node of the extent tree and everything below it.
func (c *inodeCheck) checkExtents(p extentPart) {
	bad := func(format string, args ...any) { c.inodeFault(c.number, p.at, format, args...) }
	n, err := parseExtentNode(p.b, p.depth)
	if err != nil {
		bad("%v", err)
		return
	}
	if room := len(p.b)/extentSize - 1; n.max != room {
		bad("extent tree's node for %d entries, there is room for %d", n.max, room)
	}
	if p.depth >= 0 {
		if n.entries == 0 {
			bad("extent tree's node is empty")
		} else if n.first(0) != p.lo {
			bad("extent tree's node begins with block %d, its index says %d", n.first(0), p.lo)
		}
		c.checkExtentSum(n, bad)
	}
	next := p.lo // the first block that the next entry may map
	for i := range n.entries {
		first := n.first(i)
		if first < next || first >= p.hi {
			bad("extent %d maps block %d, which is not within %d and %d", i, first, next, p.hi-1)
			return
		}
		if n.depth > 0 {
			hi := p.hi
			if i+1 < n.entries {
				hi = min(hi, n.first(i+1))
			}
			c.checkChild(n, i, extentPart{depth: n.depth - 1, lo: first, hi: max(hi, first)})
			next = first + 1
			continue
		}
		e, written := n.extent(i)
		next = e.logical + e.blocks
		if err := c.checkBlocks(e.physical, e.blocks); err != nil || e.blocks == 0 || next > p.hi {
			bad("extent %d maps blocks %d to %d (%v)", i, e.logical, next-1, err)
			continue
		}
		c.content(e, written)
	}
}

// checkChild checks the node that index i leads to.
func (c *inodeCheck) checkChild(n extentNode, i int, p extentPart) {
	if p.b = c.mapBlock(n.child(i), n.depth); p.b != nil {
		p.at = n.child(i) * c.blockSize
		c.checkExtents(p)
	}
}

// checkExtentSum checks the checksum of a node in a block of its own, which follows the room for entries.
func (c *inodeCheck) checkExtentSum(n extentNode, bad func(string, ...any)) {
	tail := extentSize * (1 + n.max)
	if !c.features.has(metadataCsum) || tail+4 > len(n.b) {
		return
	}
	if has, want := le.Uint32(n.b[tail:]), uint32(c.inodeSum(c.number, &c.inode).over(n.b[:tail])); has != want {
		bad("extent tree's node: checksum 0x%08x does not match its bytes, which have 0x%08x", has, want)
	}
}

// checkBlockMap checks the block map of an inode.
func (c *inodeCheck) checkBlockMap() {
	c.pointers(c.Block[:4*directBlocks], 0)
	logical := int64(directBlocks)
	for level := 1; level <= 3; level++ {
		c.indirect(int64(le.Uint32(c.Block[4*(directBlocks+level-1):])), level, logical)
		logical += c.below(level)
	}
}

// below returns the number of blocks that an indirect block of a level maps.
func (c *inodeCheck) below(level int) int64 {
	span := int64(1)
	for range level {
		span *= c.frame.pointers()
	}
	return span
}

// indirect checks an indirect block, which maps the file from block logical on.
func (c *inodeCheck) indirect(block int64, level int, logical int64) {
	if block == 0 {
		return
	}
	b := c.mapBlock(block, level)
	if b == nil {
		return
	}
	if level == 1 {
		c.pointers(b, logical)
		return
	}
	for i := 0; i < len(b); i += 4 {
		c.indirect(int64(le.Uint32(b[i:])), level-1, logical)
		logical += c.below(level - 1)
	}
}

// pointers claims the blocks of a list, joined into runs.
func (c *inodeCheck) pointers(b []byte, logical int64) {
	for i := int64(0); i < int64(len(b))/4; {
		first, n := int64(le.Uint32(b[4*i:])), int64(1)
		for ; first != 0 && 4*(i+n) < int64(len(b)) && int64(le.Uint32(b[4*(i+n):])) == first+n; n++ {
		}
		if first != 0 {
			if err := c.checkBlocks(first, n); err != nil {
				c.fault("%v", err)
			} else {
				c.content(mapping{logical + i, first, n}, true)
			}
		}
		i += n
	}
}

// blocksOf returns the number of blocks that hold a number of bytes.
func (f *frame) blocksOf(bytes int64) int64 { return units.Blocks(bytes, f.blockSize) }
