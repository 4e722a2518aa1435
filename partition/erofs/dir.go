package erofs

import (
	"sort"

	"imprint/internal/tree"
)

// A listing is the names of a directory in the order of their bytes, "." and ".." among them.
type listing struct {
	kids        []*tree.Node
	dot, dotdot int // where those two are
}

func list(n *tree.Node) listing {
	kids := n.Children()
	before := func(name string) int { return sort.Search(len(kids), func(i int) bool { return kids[i].Name > name }) }
	return listing{kids, before("."), 1 + before("..")}
}

func (l listing) len() int { return len(l.kids) + 2 }

// at gives a name, and its node unless it is one of the two.
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

// measureDir parts the names of a directory by blocks: each takes as many as it can hold, entries before names.
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

// dirBlock makes a block of a directory. Zeros follow the last name.
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
