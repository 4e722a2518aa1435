package iso9660

import (
	"fmt"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// A directory is laid out as blocks of records, none of which crosses a block (ECMA-119, 6.8.1.1), and blocks of continuation areas for
// the system use entries that its records have no room for. Entry 0 is the directory itself, entry 1 its parent, then come its children
// in the order of their identifiers.
//
//	at              at + blocks          at + blocks + more
//	├───────────────┼────────────────────┤
//	│ . .. a b c … │ … of b  … of c     │
//	└───────────────┴────────────────────┘
//	 records          continuation areas of some of them, in the same order
//
// Which entries are in which block depends only on their sizes, and these on names, targets and kinds. So directories are laid out before
// anything has a place, and have the same layout in both volumes.

// firstChild is the entry of the first child.
const firstChild = 2

// A mark records where a block of a directory begins: with which record of which entry, and how many bytes of continuation areas are before
// that entry's. A directory has one for each block but the first of both kinds, so that a block can be generated without those before it.
type mark struct {
	entry   int32
	section int32 // of the file
	more    uint32
}

// entryNode returns the node that entry i of a directory names: a Link for a further name of a file.
func (c *content) entryNode(d *dir, i int32) *tree.Node {
	switch i {
	case 0:
		return c.tree.Node(int(d.id))
	case 1:
		return c.tree.Node(int(c.dirs[d.parent].id))
	}
	return c.tree.Node(int(c.order[d.order+i-firstChild]))
}

// isRoot reports whether entry i is the root's own, which announces the protocols.
func (d *dir) isRoot(i int32) bool { return i == 0 && d.id == 0 }

// appendUse appends the system use entries of entry i, which names n.
func (c *content) appendUse(b []byte, d *dir, i int32, n *tree.Node) []byte {
	inode := n.Inode()
	if d.isRoot(i) {
		b = appendSP(b)
	}
	b = appendPX(b, inode.Kind(), inode.Attr, c.hardLinks(inode), serial(inode))
	b = appendTF(b, inode.Attr.Mtime.Sec)
	if i >= firstChild {
		b = appendNM(b, n.Name)
	}
	switch inode.Kind() {
	case tree.Symlink:
		b = appendSL(b, inode.Target())
	case tree.CharDevice, tree.BlockDevice:
		b = appendPN(b, inode.Device())
	}
	if d.isRoot(i) {
		b = appendER(b)
	}
	return b
}

// A splitter divides the system use entries of an entry between its records and continuation areas.
type splitter struct {
	*content
	buf   []byte
	areas []area
}

// split splits the entries of entry i, which names n: inside is the part for its records, whose head has head bytes, and areas, from byte
// more of the directory's areas on, take the rest. If there are any, inside leaves room for the CE entry that leads to them. The result is
// valid until the next call.
func (s *splitter) split(d *dir, i int32, n *tree.Node, head, more int) (inside []byte, areas []area) {
	s.buf = s.appendUse(s.buf[:0], d, i, n)
	if len(s.buf) <= maxRecord-head {
		return s.buf, nil
	}
	k := wholeEntries(s.buf, maxRecord-head-sizeCE)
	s.areas = appendAreas(s.areas[:0], s.buf[k:], more)
	return s.buf[:k], s.areas
}

// useSize returns the length of what appendUse appends for a child.
func (s *splitter) useSize(n *tree.Node) int {
	size := sizePX + sizeTF + sizeNM(len(n.Name))
	switch inode := n.Inode(); inode.Kind() {
	case tree.Symlink:
		s.buf = appendSL(s.buf[:0], inode.Target())
		size += len(s.buf)
	case tree.CharDevice, tree.BlockDevice:
		size += sizePN
	}
	return size
}

// A layer lays out directories.
type layer struct {
	splitter
	children   []named
	blocks     []mark // where the directory's blocks of records begin
	moreBlocks []mark // likewise of continuation areas
	used       int    // bytes of the last block of records
	moreUsed   int    // bytes of continuation areas
}

// lay orders the children of a directory and counts its blocks.
func (l *layer) lay(d *dir) error {
	nodes := l.tree.Node(int(d.id)).Children()
	l.children = l.identify(l.children[:0], nodes)
	d.order = int32(len(l.order))
	for _, child := range l.children {
		l.order = append(l.order, child.id)
	}
	l.blocks, l.moreBlocks, l.used, l.moreUsed = append(l.blocks[:0], mark{}), l.moreBlocks[:0], 0, 0
	for i := range d.children + firstChild {
		l.entry(d, i)
		if len(l.blocks) > maxDir || l.moreUsed > maxDir*block {
			return fmt.Errorf("records of more than %d blocks, a directory has %d", len(l.blocks)-1, maxDir)
		}
	}
	d.at, d.blocks, d.more = uint32(l.dirsEnd), uint32(len(l.blocks)), uint32(len(l.moreBlocks))
	d.marks = uint32(len(l.marks))
	l.marks = append(l.marks, l.blocks[1:]...)
	if len(l.moreBlocks) > 0 {
		l.marks = append(l.marks, l.moreBlocks[1:]...)
	}
	if l.dirsEnd += int64(d.blocks) + int64(d.more); l.dirsEnd >= maxBlocks {
		return fmt.Errorf("directories up to here have %d blocks, an ISO holds fewer than %d", l.dirsEnd, int64(maxBlocks))
	}
	return nil
}

// entry places the records of entry i and its continuation areas.
func (l *layer) entry(d *dir, i int32) {
	n := l.entryNode(d, i)
	head := headSize(1)
	if i >= firstChild {
		child := &l.children[i-firstChild]
		head = headSize(child.identifierSize(n.Kind() == tree.Dir))
		if size := head + l.useSize(n); size <= maxRecord {
			l.records(i, n, even(size))
			return
		}
	}
	inside, areas := l.split(d, i, n, head, l.moreUsed)
	if areas == nil {
		l.records(i, n, even(head+len(inside)))
		return
	}
	l.records(i, n, even(head+len(inside)+sizeCE))
	end := areas[len(areas)-1].end()
	for len(l.moreBlocks) < int(units.Blocks(int64(end), block)) {
		l.moreBlocks = append(l.moreBlocks, mark{entry: i, more: uint32(l.moreUsed)})
	}
	l.moreUsed = end
}

// records places the records of entry i, of size bytes each.
func (l *layer) records(i int32, n *tree.Node, size int) {
	for section := range sections(n) { // all with the same continuation areas
		if l.used+size > block {
			l.used = 0
			l.blocks = append(l.blocks, mark{i, section, uint32(l.moreUsed)})
		}
		l.used += size
	}
}

// sections returns the number of records of n.
func sections(n *tree.Node) int32 {
	if inode := n.Inode(); inode.Kind() == tree.File {
		return max(1, int32(units.Blocks(inode.Size(), maxSection)))
	}
	return 1
}
