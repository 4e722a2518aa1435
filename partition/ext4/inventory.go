package ext4

import (
	"fmt"
	"slices"
	"sort"

	"imprint/internal/tree"
)

// An inventory is a tree with its inode numbers, its directories and the number of blocks of everything. Tables by node ID take 12 bytes per
// node; only directories, long symlinks, sparse files, hard links and extended attributes take more.
type inventory struct {
	*format
	hasher hasher
	tree   *tree.Tree
	lost   int32      // node ID of lost+found; tree.Len() if it is not in the tree
	own    *tree.Node // lost+found, if it is not in the tree

	ino   []uint32 // by node ID
	nodes []int32  // node ID by inode number − firstInode; freeInode for one that is not in use
	freed int64    // how many in nodes are free
	at    []uint32 // by node ID: tape position of a file's blocks; before allocation, the number of file blocks before this node

	dirs       []dir         // by node ID
	slow       []int32       // IDs of the symlinks that have a block
	sparse     []int32       // IDs of the files with several runs
	furtherOf  map[int32]int // number of Links, by the ID of their target
	xattrs     xattrTable
	fileBlocks int64 // of all files
}

// A dir is a directory and its blocks.
type dir struct {
	id, parent int32 // node IDs; the root is its own parent
	at         uint32
	blocks     uint32
	subdirs    uint32
	leaves     *dirLeaves // nil: all entries are in the first block
}

// freeInode is the node of an inode that is not in use.
const freeInode = -1

// lostFoundBytes is the size of an empty lost+found: e2fsck can put names into it without allocating blocks.
const lostFoundBytes = 16384

// newInventory measures a tree. If the tree has no lost+found, the inventory has one with the attributes lost.
func newInventory(t *tree.Tree, f *format, seed [16]byte, lost *tree.Attr) (*inventory, error) {
	c := &inventory{
		format: f, hasher: newHasher(seed), tree: t, lost: int32(t.Len()), furtherOf: map[int32]int{},
		ino: make([]uint32, t.Len(), t.Len()+1), nodes: make([]int32, 0, t.Len()), at: make([]uint32, t.Len()+1),
	}
	if n := t.Find("/lost+found"); n != nil {
		c.lost = int32(n.ID())
		if n.Kind() != tree.Dir {
			return nil, fmt.Errorf("lay out ext4: /lost+found: is a %v, not a directory", n.Kind())
		}
	} else {
		c.own = tree.NewDir("lost+found", lost, nil)
		c.ino = append(c.ino, lostFoundInode)
	}
	id, err := c.measure()
	if err != nil {
		return nil, fmt.Errorf("lay out ext4: %s: %v", pathOf(t, id), err)
	}
	return c, nil
}

// pathOf returns the path of a node, for error messages.
func pathOf(t *tree.Tree, id int32) string {
	for path, n := range t.Walk() {
		if n.ID() == int(id) {
			return tree.Shown(path)
		}
	}
	return "/lost+found"
}

// node returns the node with that ID, which may be that of lost+found.
func (c *inventory) node(id int32) *tree.Node {
	if int(id) == c.tree.Len() {
		return c.own
	}
	return c.tree.Node(int(id))
}

// inodes returns the number of inodes in use: the ten reserved ones, lost+found, and those of the tree.
func (c *inventory) inodes() int64 { return firstInode - 1 + int64(len(c.nodes)) - c.freed }

// measure measures the whole tree. With an error it returns the ID of the node that it concerns.
func (c *inventory) measure() (id int32, err error) {
	var links []int32
	if id, err = c.visit(c.tree.Root(), 0, &links); err != nil {
		return id, err
	}
	c.at[c.tree.Len()] = uint32(c.fileBlocks)
	if c.own != nil {
		c.dirs = append(c.dirs, dir{id: c.lost, blocks: uint32(lostFoundBytes / c.blockSize)})
	}
	for _, id := range links {
		if err := c.link(id); err != nil {
			return id, err
		}
	}
	return 0, nil
}

// visit measures a node and everything below it, and collects the Links, whose targets may come after them.
func (c *inventory) visit(n *tree.Node, parent int32, links *[]int32) (id int32, err error) {
	id = int32(n.ID())
	c.at[id] = uint32(c.fileBlocks)
	if n.Kind() == tree.Link {
		*links = append(*links, id)
		return id, nil
	}
	c.number(id)
	if err := c.measureNode(n, parent); err != nil {
		return id, err
	}
	for _, child := range n.Children() {
		if at, err := c.visit(child, id, links); err != nil {
			return at, err
		}
	}
	return id, nil
}

// number assigns the next inode number to a node, unless it has a fixed one.
func (c *inventory) number(id int32) {
	switch id {
	case 0:
		c.ino[id] = rootInode
	case c.lost:
		c.ino[id] = lostFoundInode
	default:
		c.ino[id] = firstInode + uint32(len(c.nodes))
		c.nodes = append(c.nodes, id)
	}
}

// dir returns the directory with that node ID.
func (c *inventory) dir(id int32) *dir {
	return &c.dirs[sort.Search(len(c.dirs), func(i int) bool { return c.dirs[i].id >= id })]
}

// slowOrdinal returns the index of a symlink among those that have a block.
func (c *inventory) slowOrdinal(id int32) int {
	i, _ := slices.BinarySearch(c.slow, id)
	return i
}
