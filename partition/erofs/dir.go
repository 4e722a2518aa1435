package erofs

import (
	"sort"

	"imprint/internal/tree"
)

// A listing is the names of a directory in the order of their bytes, with "." and "..": names such as "!" sort before them.
type listing struct {
	kids        []*tree.Node
	dot, dotdot int // indices of "." and ".."
}

func list(n *tree.Node) listing {
	kids := n.Children()
	before := func(name string) int { return sort.Search(len(kids), func(i int) bool { return kids[i].Name > name }) }
	return listing{kids, before("."), 1 + before("..")}
}

func (l listing) len() int { return len(l.kids) + 2 }

// at returns name i, and its node unless the name is "." or "..".
func (l listing) at(i int) (name string, n *tree.Node) {
	switch {
	case i == l.dot:
		return ".", nil
	case i == l.dotdot:
		return "..", nil
	case i > l.dotdot:
		i--
	}
	if i > l.dot {
		i--
	}
	return l.kids[i].Name, l.kids[i]
}

// measureDir divides the names of a directory among blocks. A block holds entries, then their names; each takes as many as fit.
func (c *content) measureDir(n *tree.Node, parent int32) dir {
	d := dir{id: int32(n.ID()), parent: parent, at: uint32(c.dirBlocks)}
	l := list(n)
	for i := range l.len() {
		name, child := l.at(i)
		if child != nil && child.Kind() == tree.Dir {
			d.subdirs++
		}
		size := uint32(direntSize + len(name))
		if d.used+size > blockSize {
			c.starts[d.id] = append(c.starts[d.id], int32(i))
			d.full, d.used = d.full+1, 0
		}
		d.used += size
	}
	return d
}

// dirBlock returns a block of a directory: entries of 12 bytes (nid, offset of the name in the block, type), then the names without
// separators. An entry has no length: a name ends where the next one begins, and zeros follow the last.
func (c *content) dirBlock(d *dir, block int64) []byte {
	l := list(c.tree.Node(int(d.id)))
	first, end := 0, l.len()
	starts := c.starts[d.id]
	if block > 0 {
		first = int(starts[block-1])
	}
	if block < int64(len(starts)) {
		end = int(starts[block])
	}
	b := make([]byte, blockSize)
	at := (end - first) * direntSize
	for i := first; i < end; i++ {
		name, child := l.at(i)
		id, kind := d.id, tree.Dir
		switch {
		case child != nil:
			id, kind = int32(child.ID()), child.Inode().Kind()
		case name == "..":
			id = d.parent
		}
		e := b[(i-first)*direntSize:]
		le.PutUint64(e[0:], uint64(c.nids[id]))
		le.PutUint16(e[8:], uint16(at))
		e[10] = kindCodes[kind].entry
		at += copy(b[at:], name)
	}
	return b
}
