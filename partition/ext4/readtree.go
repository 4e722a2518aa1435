package ext4

import (
	"errors"
	"fmt"

	"imprint/internal/fault"
	"imprint/internal/tree"
)

// A treeReader reads the tree of a file system once.
type treeReader struct {
	*reader
	w           *windows
	budget      int64                 // bytes of structure that may still be read
	nodes       map[uint32]*tree.Node // by inode number; nil while a directory is read
	attrs       map[attrKey]*tree.Attr
	xattrBlocks map[int64][]tree.Xattr
	values      map[uint32][]byte // of attributes, by the inode that holds them
	omit        *tree.Omission
}

// newWindows returns a cache for one goroutine to read structure through.
func (r *reader) newWindows() *windows { return &windows{image: r.image, size: r.size()} }

// readTree sets Tree and the inodes in it.
func (v *Volume) readTree(omit *tree.Omission) error {
	r := &treeReader{
		reader: v.reader, w: v.newWindows(), budget: v.size(), nodes: map[uint32]*tree.Node{}, attrs: map[attrKey]*tree.Attr{},
		xattrBlocks: map[int64][]tree.Xattr{}, values: map[uint32][]byte{}, omit: omit,
	}
	root, err := r.node("", rootInode, 0)
	if err != nil {
		return fault.Below("", err)
	}
	if root.Kind() != tree.Dir {
		return fmt.Errorf("the root is a %v", root.Kind())
	}
	b := tree.NewBuilder(root.Attr)
	if err := b.Add("/", root, ""); err != nil {
		return err
	}
	v.inodes = r.nodes
	v.Tree, err = b.Tree()
	return err
}

// walkPaths returns the path of each inode in the tree, by its first name.
func (v *Volume) walkPaths() map[uint32]string {
	numbers := make(map[*tree.Node]uint32, len(v.inodes))
	for number, n := range v.inodes {
		numbers[n] = number
	}
	paths := make(map[uint32]string, len(v.inodes))
	if v.Tree == nil {
		return paths
	}
	for path, n := range v.Tree.Walk() {
		if number, ok := numbers[n]; ok {
			paths[number] = path
		}
	}
	paths[rootInode] = "/"
	return paths
}

// errTwice refuses a directory with two names, over which a walk might not end.
var errTwice = errors.New("the directory has a second name")

// block reads a block of structure.
func (r *treeReader) block(block int64) ([]byte, error) {
	if err := r.checkBlocks(block, 1); err != nil {
		return nil, err
	}
	if r.budget -= r.blockSize; r.budget < 0 {
		return nil, fault.ErrOverlap
	}
	return r.w.read(block*r.blockSize, r.blockSize)
}

// structureMap returns the map of an inode whose blocks are structure.
func (r *treeReader) structureMap(n *inode) *fileMap {
	return &fileMap{fs: &r.frame, root: n.Block, extents: n.Flags&extentsFlag != 0, read: r.block}
}

// node reads an inode. For one that was read before it returns a link. depth counts the directories above.
func (r *treeReader) node(name string, number uint32, depth int) (*tree.Node, error) {
	if first, ok := r.nodes[number]; ok {
		if first == nil || first.Kind() == tree.Dir {
			return nil, errTwice
		}
		return tree.NewLink(name, first), nil
	}
	r.nodes[number] = nil
	n, b, err := r.inode(r.w, number)
	if err != nil {
		return nil, err
	}
	node, err := r.newNode(name, number, &n, b, depth)
	if err != nil {
		return nil, err
	}
	r.nodes[number] = node
	return node, nil
}

// newNode returns the node of an inode, whose bytes are b. An encrypted or compressed file is a node whose blob cannot be opened, but an
// encrypted directory or symlink is an error, since without the key it has no names and no target.
func (r *treeReader) newNode(name string, number uint32, n *inode, b []byte, depth int) (*tree.Node, error) {
	kind, ok := n.kind()
	switch {
	case int64(number) < r.firstFree && number != rootInode:
		return nil, fmt.Errorf("inode %d is reserved", number)
	case n.LinksCount == 0:
		return nil, fmt.Errorf("inode %d is not in use", number)
	case !ok:
		return nil, fmt.Errorf("inode %d: mode %#o has no known type", number, n.Mode)
	}
	attr, err := r.attr(n, b)
	if err != nil {
		return nil, err
	}
	refused := refusedFlags(n)
	switch kind {
	case tree.CharDevice, tree.BlockDevice:
		return tree.NewDevice(name, attr, kind, n.device()), nil
	case tree.Fifo, tree.Socket:
		return tree.NewSpecial(name, attr, kind), nil
	case tree.File:
		blob, err := r.file(n, b, refused)
		return tree.NewFile(name, attr, blob), err
	}
	if refused != "" {
		return nil, fmt.Errorf("the %v is %s, which is not supported", kind, refused)
	}
	if kind == tree.Symlink {
		target, err := r.target(n, b)
		return tree.NewSymlink(name, attr, target), err
	}
	kids, err := r.dir(name, n, b, depth)
	return tree.NewDir(name, attr, kids), err
}
