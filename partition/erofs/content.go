package erofs

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// A content is a tree as a file system sees it. Tables by node ID take 12 bytes a node; only directories, files that share blocks, names
// of linked files and shared attributes take more.
type content struct {
	tree  *tree.Tree
	epoch int64

	nids  []uint32 // by node ID; a Link has that of its file
	order []int32  // node IDs of the inodes in the order of the nids
	at    []uint32 // by node ID: blocks of file contents before this node's

	dirs     []dir             // by node ID
	starts   map[int32][]int32 // of directories with whole blocks: the first name in each further block, counted from 0
	slow     []int32           // IDs of the symlinks that do not fit after their inode
	borrowed []borrow          // by node ID
	links    map[int32]uint32  // further names, by the ID of the file they lead to
	xattrs   xattrs

	table, tails packer
	inlined      int // how many inodes have a tail: the last ones in order
	dirBlocks    int64
}

// A dir is a directory with its place.
type dir struct {
	id, parent int32  // node IDs; the root is its own parent
	at         uint32 // directory blocks before its own
	full       uint32 // blocks before the last one
	used       uint32 // bytes in the last one
	subdirs    uint32
}

// A borrow is a file whose blocks are those of an earlier file with the same blob.
type borrow struct{ id, from int32 }

// newContent walks the tree twice: first it counts links and attributes, which decide how large each inode is, then it places the inodes.
func newContent(t *tree.Tree, epoch int64) (*content, error) {
	c := &content{tree: t, epoch: epoch, links: map[int32]uint32{}, starts: map[int32][]int32{}}
	for n := range t.Nodes() {
		if err := c.count(n); err != nil {
			return nil, fmt.Errorf("lay out EROFS: %s: %v", pathOf(t, int32(n.ID())), err)
		}
	}
	c.nids, c.at = make([]uint32, t.Len()), make([]uint32, t.Len()+1)
	first := slotsPerBlock - (superOffset+superSize)/slotSize
	c.table = packer{blocks: 1, open: [openBlocks]openBlock{{free: int64(first), end: slotsPerBlock}}}
	p := placing{content: c, first: map[tree.Blob]int32{}}
	p.visit(t.Root(), 0)
	if p.err != nil {
		return nil, fmt.Errorf("lay out EROFS: %v", p.err)
	}
	c.at[t.Len()] = uint32(p.blocks)
	return c, p.settle()
}

// count checks a node and counts its links and attributes.
func (c *content) count(n *tree.Node) error {
	if err := check(n); err != nil {
		return err
	}
	if n.Kind() == tree.Link {
		c.links[int32(n.Inode().ID())]++
		return nil
	}
	c.xattrs.count(n.Attr)
	return nil
}

// A placing assigns places: slots to inodes and blocks to contents, each counted within its part of the file system. Where the parts
// begin is known only when all are placed.
type placing struct {
	*content
	first  map[tree.Blob]int32 // the first file with a blob, which has its blocks
	plain  []int32             // IDs of inodes in the table
	inline []int32             // IDs of files with a tail
	blocks int64               // of file contents
	err    error
}

// visit places a node and everything below it.
func (p *placing) visit(n *tree.Node, parent int32) {
	id := int32(n.ID())
	p.at[id] = uint32(p.blocks)
	switch n.Kind() {
	case tree.Link:
		return
	case tree.Dir:
		p.dirs = append(p.dirs, p.measureDir(n, parent))
	}
	e := p.entry(n)
	slots := units.Blocks(e.header+e.tail, slotSize)
	if n.Kind() == tree.File && e.tail > 0 {
		p.inline = append(p.inline, id)
		p.nids[id] = uint32(p.tails.take(slots))
	} else {
		p.plain = append(p.plain, id)
		p.nids[id] = uint32(p.table.take(slots))
	}
	p.outside(n, e.blocks)
	for _, child := range n.Children() {
		p.visit(child, id)
	}
}

// outside places the blocks of a node.
func (p *placing) outside(n *tree.Node, blocks int64) {
	id := int32(n.ID())
	switch {
	case blocks == 0:
	case n.Kind() == tree.Dir:
		p.dirBlocks += blocks
	case n.Kind() == tree.Symlink:
		p.slow = append(p.slow, id)
	case p.brought(n, blocks):
		p.borrowed = append(p.borrowed, borrow{id, p.first[n.Blob()]})
	default:
		p.first[n.Blob()] = id
		if p.blocks += blocks; p.blocks > math.MaxUint32 && p.err == nil {
			p.err = fmt.Errorf("%s: %d blocks of contents up to here, %d are the limit", pathOf(p.tree, id), p.blocks, uint32(math.MaxUint32))
		}
	}
}

// brought reports whether an earlier file with the same blob has as many blocks as this one needs. It has one fewer if its tail is inline
// and this file's, after longer attributes, does not fit into the inode's block.
func (p *placing) brought(n *tree.Node, blocks int64) bool {
	first, ok := p.first[n.Blob()]
	return ok && int64(p.at[first+1]-p.at[first]) >= blocks
}

// settle moves the inodes with tails to their part of the file system, copies the nids of files to their links, and sorts the inodes.
func (p *placing) settle() error {
	tails := p.tailsAt() * slotsPerBlock
	if last := tails + p.tails.blocks*slotsPerBlock; last > math.MaxUint32 {
		return fmt.Errorf("lay out EROFS: inodes reach up to byte %d, %d is the limit", last*slotSize, int64(math.MaxUint32)*slotSize)
	}
	p.order = p.byPlace(p.plain, p.table.blocks)
	inline := p.byPlace(p.inline, p.tails.blocks)
	for _, id := range inline {
		p.nids[id] += uint32(tails)
	}
	p.order, p.inlined = append(p.order, inline...), len(inline)
	p.endAfterInode()
	if len(p.links) > 0 {
		for n := range p.tree.Nodes() {
			p.nids[n.ID()] = p.nids[n.Inode().ID()]
		}
	}
	return nil
}

// endAfterInode moves the last inode into a block of its own if the file system would end right after it: fsck.erofs 1.5 reads extended
// attributes even after an inode that has none, and takes the end of the image there for a corruption.
func (p *placing) endAfterInode() {
	last := p.order[len(p.order)-1]
	if e := p.entry(p.tree.Node(int(last))); p.place(last)+e.bytes() == p.end()*blockSize {
		p.nids[last] = uint32(p.table.blocks * slotsPerBlock)
		p.table.blocks++
	}
}

// byPlace sorts IDs, given in the order in which they were packed, by nid. A counting sort by block is enough, since each block was packed
// from its beginning to its end.
func (p *placing) byPlace(ids []int32, blocks int64) []int32 {
	next := make([]int32, blocks+1)
	for _, id := range ids {
		next[p.nids[id]/slotsPerBlock+1]++
	}
	for i := range blocks {
		next[i+1] += next[i]
	}
	sorted := make([]int32, len(ids), len(ids)+len(p.inline))
	for _, id := range ids {
		block := p.nids[id] / slotsPerBlock
		sorted[next[block]] = id
		next[block]++
	}
	return sorted
}

// The first blocks of the parts of the file system, in their order.
func (c *content) xattrsAt() int64 { return c.table.blocks }
func (c *content) dirsAt() int64   { return c.xattrsAt() + units.Blocks(c.xattrs.bytes, blockSize) }
func (c *content) slowAt() int64   { return c.dirsAt() + c.dirBlocks }
func (c *content) tailsAt() int64  { return c.slowAt() + int64(len(c.slow)) }
func (c *content) filesAt() int64  { return c.tailsAt() + c.tails.blocks }
func (c *content) end() int64      { return c.filesAt() + int64(c.at[c.tree.Len()]) }

// dir returns the directory of a node ID.
func (c *content) dir(id int32) *dir {
	return &c.dirs[sort.Search(len(c.dirs), func(i int) bool { return c.dirs[i].id >= id })]
}

// fileAt returns the first block of a file's content, not counting its tail.
func (c *content) fileAt(id int32) int64 {
	if b, ok := c.borrow(id); ok {
		id = b.from
	}
	return c.filesAt() + int64(c.at[id])
}

func (c *content) borrow(id int32) (borrow, bool) {
	i, ok := slices.BinarySearchFunc(c.borrowed, id, func(b borrow, id int32) int { return int(b.id) - int(id) })
	if !ok {
		return borrow{}, false
	}
	return c.borrowed[i], true
}
