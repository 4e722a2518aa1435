package erofs

import (
	"math"
	"slices"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// maxTail is the largest tail of a file in bytes. A larger one would save less than a quarter of a block, and move inodes apart; README.md
// has the measurements.
const maxTail = 3072

// An entry is an inode, its extended attributes and the tail of its content, which lie one after the other. The rest of the content is in
// blocks elsewhere.
type entry struct {
	inode
	header int64 // bytes of inode and attributes
	tail   int64 // bytes after them
	blocks int64 // elsewhere
}

// entry computes the entry of a node other than a Link, except for i_u, since blocks may not be placed yet.
func (c *content) entry(n *tree.Node) entry {
	a := n.Attr
	e := entry{inode: inode{
		mode: kindCodes[n.Kind()].mode | a.Mode, links: 1, size: n.Size(), number: uint32(n.ID() + 1), uid: a.UID, gid: a.GID, mtime: a.Mtime,
	}}
	if len(c.links) > 0 {
		e.links += c.links[int32(n.ID())]
	}
	limit := int64(maxTail)
	switch n.Kind() {
	case tree.Dir:
		d := c.dir(int32(n.ID()))
		e.size, e.links, limit = int64(d.full)*blockSize+int64(d.used), 2+d.subdirs, blockSize
	case tree.Symlink:
		limit = blockSize
	case tree.CharDevice, tree.BlockDevice:
		e.u = deviceNumber(n.Device())
	}
	e.extended = e.links > math.MaxUint16 || e.uid > math.MaxUint16 || e.gid > math.MaxUint16 || e.size > math.MaxUint32 ||
		a.Mtime != tree.Time{Sec: c.epoch}
	body := c.xattrs.size(a)
	e.xattrs, e.header = xattrCount(body), e.bytes()+body
	e.split(limit)
	return e
}

// split divides the content into blocks and a tail of at most limit bytes, which must fit into the inode's block.
func (e *entry) split(limit int64) {
	if tail := e.size % blockSize; tail > 0 && tail <= limit && e.header+tail <= blockSize {
		e.tail, e.layout = tail, flatInline
	}
	e.blocks = units.Blocks(e.size-e.tail, blockSize)
}

// appendEntry appends the bytes of a node's entry, without the tail of a file, which is read from its blob.
func (c *content) appendEntry(b []byte, id int32) []byte {
	n := c.tree.Node(int(id))
	e := c.entry(n)
	switch n.Kind() {
	case tree.File:
		if e.blocks > 0 {
			e.u = uint32(c.fileAt(id))
		}
	case tree.Dir:
		if e.blocks > 0 {
			e.u = uint32(c.dirsAt()) + c.dir(id).at
		}
	case tree.Symlink:
		if e.blocks > 0 {
			i, _ := slices.BinarySearch(c.slow, id)
			e.u = uint32(c.slowAt()) + uint32(i)
		}
	}
	b = c.xattrs.append(e.inode.append(b), n.Attr)
	switch {
	case e.tail == 0:
	case n.Kind() == tree.Dir:
		b = append(b, c.dirBlock(c.dir(id), int64(c.dir(id).full))[:e.tail]...)
	case n.Kind() == tree.Symlink:
		b = append(b, n.Target()...)
	}
	return b
}

// place returns the offset in bytes of a node's inode.
func (c *content) place(id int32) int64 { return int64(c.nids[id]) * slotSize }
