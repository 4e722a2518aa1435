package ext4

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// A content is a tree as a file system sees it: inode numbers, directories, and how many blocks everything has. Tables by node ID
// take 12 bytes a node; only directories, long symlinks, sparse files, further names and shared attributes take more.
type content struct {
	format
	hasher hasher
	tree   *tree.Tree
	lost   int32      // node ID of lost+found; tree.Len() when it is not in the tree
	own    *tree.Node // lost+found then

	ino   []uint32 // by node ID
	nodes []int32  // node ID by inode number − firstInode
	at    []uint32 // by node ID: tape position of a file's blocks; until the content is placed, file blocks before this node

	dirs       []dir         // by node ID
	slow       []int32       // IDs of the symlinks that have a block
	sparse     []int32       // IDs of the files with several runs
	furtherOf  map[int32]int // further names, by the ID of the file they lead to
	xattrs     xattrTable
	fileBlocks int64 // of all files

}

// A dir is a directory with its place.
type dir struct {
	id, parent int32 // node IDs; the root is its own parent
	at         uint32
	blocks     uint32
	subdirs    uint32
	leaves     *dirLeaves // nil: all entries are in the first block
}

// lostFoundBytes is the size of an empty lost+found: room for e2fsck to put names without taking blocks.
const lostFoundBytes = 16384

// newContent goes through the tree once. Lost+found gets the given attributes if the tree has none.
func newContent(t *tree.Tree, f format, seed [16]byte, lost *tree.Attr) (*content, error) {
	c := &content{
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

// pathOf finds the path of a node, for a message.
func pathOf(t *tree.Tree, id int32) string {
	for path, n := range t.Walk() {
		if n.ID() == int(id) {
			return path
		}
	}
	return "/lost+found"
}

// node is the node of that ID, lost+found among them.
func (c *content) node(id int32) *tree.Node {
	if int(id) == c.tree.Len() {
		return c.own
	}
	return c.tree.Node(int(id))
}

// inodes is how many inodes are in use: the ten reserved ones, lost+found and the tree's.
func (c *content) inodes() int64 { return firstInode - 1 + int64(len(c.nodes)) }

// measure goes through the whole tree. On an error it gives the ID of the node that it is about.
func (c *content) measure() (id int32, err error) {
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

// visit measures a node and all below it, and collects the further names, which may come before what they lead to.
func (c *content) visit(n *tree.Node, parent int32, links *[]int32) (id int32, err error) {
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

// number gives a node the next inode number, unless it has a fixed one.
func (c *content) number(id int32) {
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

func (c *content) measureNode(n *tree.Node, parent int32) error {
	if err := checkAttr(n.Attr); err != nil {
		return err
	}
	if len(n.Attr.Xattrs) > 0 {
		if err := c.xattrs.add(int32(n.ID()), n.Attr, c.blockSize); err != nil {
			return err
		}
	}
	switch n.Kind() {
	case tree.File:
		return c.measureFile(n)
	case tree.Dir:
		d := dir{id: int32(n.ID()), parent: parent}
		err := c.measureDir(&d)
		c.dirs = append(c.dirs, d)
		return err
	case tree.Symlink:
		return c.measureSymlink(n)
	case tree.CharDevice, tree.BlockDevice:
		if d := n.Device(); d.Major >= 1<<12 || d.Minor >= 1<<20 {
			return fmt.Errorf("device number %d:%d is over 4095:1048575", d.Major, d.Minor)
		}
	}
	return nil
}

func checkAttr(a *tree.Attr) error {
	switch {
	case a == nil:
		return fmt.Errorf("has no attributes")
	case a.UID == math.MaxUint32 || a.GID == math.MaxUint32:
		return fmt.Errorf("owner %d:%d: %d is no ID", a.UID, a.GID, uint32(math.MaxUint32))
	case a.Mode > 0o7777:
		return fmt.Errorf("mode %#o is over 07777", a.Mode)
	case a.Mtime.Sec < minTime || a.Mtime.Sec > maxTime || a.Mtime.Nsec >= 1e9:
		return fmt.Errorf("time %d.%09d is not within %d and %d", a.Mtime.Sec, a.Mtime.Nsec, int64(minTime), int64(maxTime))
	}
	return nil
}

// maxFileBlocks is how many blocks the extents of a file can count.
const maxFileBlocks = math.MaxUint32

func (c *content) measureFile(n *tree.Node) error {
	blob := n.Blob()
	if blob == nil {
		return fmt.Errorf("is a file without content")
	}
	if size := blob.Size(); size < 0 || size > maxFileBlocks*c.blockSize {
		return fmt.Errorf("%d bytes are more than the %d of the largest file", size, maxFileBlocks*c.blockSize)
	}
	sparse, ok := blob.(tree.SparseBlob)
	if !ok {
		c.fileBlocks += units.Blocks(blob.Size(), c.blockSize)
		return nil
	}
	runs, err := c.runs(sparse)
	if err != nil {
		return err
	}
	for _, r := range runs {
		c.fileBlocks += r.blocks
	}
	c.sparse = append(c.sparse, int32(n.ID()))
	return nil
}

// runs gives the blocks of a sparse file that hold data.
func (c *content) runs(b tree.SparseBlob) (runs []run, err error) {
	end := int64(0)
	for _, d := range b.Data() {
		if d.Off < end || d.Len < 0 || d.Len > b.Size()-d.Off {
			return nil, fmt.Errorf("data of %d bytes at %d is out of order or not within the file's %d bytes", d.Len, d.Off, b.Size())
		}
		end = d.Off + d.Len
		if d.Len == 0 {
			continue
		}
		first, behind := d.Off/c.blockSize, units.Blocks(end, c.blockSize)
		if k := len(runs) - 1; k >= 0 && runs[k].logical+runs[k].blocks >= first {
			runs[k].blocks = behind - runs[k].logical
			continue
		}
		runs = append(runs, run{first, behind - first})
	}
	return runs, nil
}

// fileRuns appends the runs of a file that was measured: one unless it is sparse, none when it is empty.
func (c *content) fileRuns(dst []run, n *tree.Node) []run {
	if sparse, ok := n.Blob().(tree.SparseBlob); ok {
		runs, _ := c.runs(sparse) // the error was told when it was measured
		return append(dst, runs...)
	}
	if blocks := units.Blocks(n.Size(), c.blockSize); blocks > 0 {
		return append(dst, run{0, blocks})
	}
	return dst
}

// fastSymlink is the length from which a symlink's target no longer fits into the inode.
const fastSymlink = rootNodeSize

func (c *content) measureSymlink(n *tree.Node) error {
	target := n.Target()
	if len(target) == 0 || int64(len(target)) >= c.blockSize {
		return fmt.Errorf("symlink target of %d bytes, 1 to %d are allowed", len(target), c.blockSize-1)
	}
	for i := range len(target) {
		if target[i] == 0 {
			return fmt.Errorf("symlink target %.60q holds a NUL", target)
		}
	}
	if len(target) >= fastSymlink {
		c.slow = append(c.slow, int32(n.ID()))
	}
	return nil
}

// maxLinks is how many names an inode can have, and how many links a directory counts.
const maxLinks = 65000

// link counts one more name for the file that a link leads to.
func (c *content) link(id int32) error {
	target := c.tree.Node(int(id)).Inode()
	to := target.ID()
	if target.Kind() == tree.Dir || target.Kind() == tree.Link {
		return fmt.Errorf("is a further name of a %v", target.Kind())
	}
	c.ino[id] = c.ino[to]
	c.furtherOf[int32(to)]++
	if names := c.furtherOf[int32(to)] + 1; names > maxLinks {
		return fmt.Errorf("is name %d of %s, %d are allowed", names, pathOf(c.tree, int32(to)), maxLinks)
	}
	return nil
}

// dir finds the directory of a node ID.
func (c *content) dir(id int32) *dir {
	return &c.dirs[sort.Search(len(c.dirs), func(i int) bool { return c.dirs[i].id >= id })]
}

// slowOrdinal is the place of a symlink among those that have a block.
func (c *content) slowOrdinal(id int32) int {
	i, _ := slices.BinarySearch(c.slow, id)
	return i
}
