package iso9660

import (
	"fmt"
	"sort"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// A content is a tree as an image holds it: identifiers, directories, and the blocks of everything, counted from the first block of all
// directories or of all files. Tables by node ID take 8 bytes a node; only directories, files with several names and names that become
// alike take more.
type content struct {
	tree    *tree.Tree
	at      []uint32 // by node ID: first block of a file; for other nodes, that of the next file
	order   []int32  // node IDs of directories' children, in the order of their identifiers
	dirs    []dir    // by node ID
	marks   []mark
	links   map[int32]uint32 // names of a file, by node ID, if it has several
	renamed map[int32]ident  // by node ID: idents that do not follow from the name
	paths   pathTable
	dirsEnd int64 // blocks of all directories
}

// A dir is a directory with its place.
type dir struct {
	id, parent int32  // node ID, and index of the directory that it is in; the root is in itself
	order      int32  // where its children begin in content.order
	children   int32  // how many there are
	at         uint32 // first block
	blocks     uint32 // of records
	more       uint32 // of continuation areas, after those
	marks      uint32 // where its marks begin in content.marks
	subdirs    uint32
	number     uint32 // in the path table
}

// size is the size in bytes that its record has.
func (d *dir) size() int64 { return int64(d.blocks) * block }

// maxDir is the largest number of blocks of records of a directory: its size in bytes is a number of 32 bits.
const maxDir = 1<<32/block - 1

// maxBlocks is a limit that the number of blocks of an image must be below.
const maxBlocks = 1 << 32

// newContent measures a tree that Check accepts.
func newContent(t *tree.Tree) (*content, error) {
	c := &content{
		tree: t, at: make([]uint32, t.Len()+1), order: make([]int32, 0, t.Len()-1), links: map[int32]uint32{}, renamed: map[int32]ident{},
	}
	if err := c.placeFiles(); err != nil {
		return nil, err
	}
	c.visit(t.Root(), 0)
	l := layer{splitter: splitter{content: c}}
	for i := range c.dirs {
		if err := l.lay(&c.dirs[i]); err != nil {
			return nil, fmt.Errorf("%s: %v", pathOf(t, t.Node(int(c.dirs[i].id))), err)
		}
	}
	c.numberPaths()
	return c, nil
}

// placeFiles assigns blocks to files in the order of the tree, so that a walk over the tree reads the image from front to back.
func (c *content) placeFiles() error {
	at := int64(0)
	for id := range c.tree.Len() {
		n := c.tree.Node(id)
		c.at[id] = uint32(at)
		switch n.Kind() {
		case tree.File:
			at += units.Blocks(n.Size(), block)
		case tree.Link:
			to := int32(n.Inode().ID())
			c.links[to] = max(c.links[to], 1) + 1
		}
		if at >= maxBlocks {
			return fmt.Errorf("%s: files up to here have %d blocks, an ISO holds fewer than %d", pathOf(c.tree, n), at, int64(maxBlocks))
		}
	}
	c.at[c.tree.Len()] = uint32(at)
	return nil
}

// visit collects the directories from n on; parent is the index of the directory that n is in.
func (c *content) visit(n *tree.Node, parent int32) {
	index := int32(len(c.dirs))
	c.dirs = append(c.dirs, dir{id: int32(n.ID()), parent: parent, children: int32(len(n.Children()))})
	for _, child := range n.Children() {
		if child.Kind() == tree.Dir {
			c.dirs[index].subdirs++
			c.visit(child, index)
		}
	}
}

// dirIndex returns the index of the directory of a node.
func (c *content) dirIndex(id int32) int32 {
	return int32(sort.Search(len(c.dirs), func(i int) bool { return c.dirs[i].id >= id }))
}

func (c *content) dir(id int32) *dir { return &c.dirs[c.dirIndex(id)] }

// hardLinks returns the link count of a node. That of a directory includes the names "." and "..", in itself and its subdirectories.
func (c *content) hardLinks(n *tree.Node) uint32 {
	if n.Kind() == tree.Dir {
		return c.dir(int32(n.ID())).subdirs + 2
	}
	if links, ok := c.links[int32(n.ID())]; ok {
		return links
	}
	return 1
}

// serial returns the serial number of a node. All names of a file have the same; 0, which means none, is not used.
func serial(n *tree.Node) uint32 { return uint32(n.ID()) + 1 }
