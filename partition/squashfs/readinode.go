package squashfs

import (
	"errors"
	"fmt"
	"math"

	"imprint/internal/fault"
	"imprint/internal/tree"
)

// maxDepth is how deep directories may be nested. A path of that depth has at least 8192 bytes, twice PATH_MAX.
const maxDepth = 4096

// maxTarget is the length in bytes of the longest symlink that Linux reads.
const maxTarget = 4095

// errTwice refuses a directory with two names, over which a walk might not end.
var errTwice = errors.New("the directory has a second name")

// node reads what a reference leads to. An inode that was read before gives a link to it. depth counts directories.
func (r *reader) node(name string, ref uint64, depth int) (*tree.Node, error) {
	if first, ok := r.nodes[ref]; ok {
		if first == nil || first.Kind() == tree.Dir {
			return nil, errTwice
		}
		return tree.NewLink(name, first), nil
	}
	r.nodes[ref] = nil
	n, err := r.inode(ref)
	if err != nil {
		return nil, err
	}
	node, err := r.newNode(name, n, depth)
	if err != nil {
		return nil, err
	}
	r.nodes[ref] = node
	return node, nil
}

// newNode returns the node of an inode, with everything below it.
func (r *reader) newNode(name string, n inode, depth int) (*tree.Node, error) {
	attr, err := r.attr(n)
	if err != nil {
		return nil, err
	}
	switch n.kind {
	case tree.Dir:
		kids, err := r.dir(name, n, depth)
		if err != nil {
			return nil, err
		}
		return tree.NewDir(name, attr, kids), nil
	case tree.File:
		if err := r.checkFile(n); err != nil {
			return nil, err
		}
		return tree.NewFile(name, attr, r.content(n)), nil
	case tree.Symlink:
		return tree.NewSymlink(name, attr, n.target), nil
	case tree.CharDevice, tree.BlockDevice:
		return tree.NewDevice(name, attr, n.kind, n.device), nil
	}
	return tree.NewSpecial(name, attr, n.kind), nil
}

// checkFile refuses a file whose content cannot be where the inode says.
func (r *reader) checkFile(n inode) error {
	switch {
	case n.size < 0 || n.size > math.MaxInt64-r.blockSize:
		return fmt.Errorf("size of %d bytes is impossible", uint64(n.size))
	case n.at < 0 || n.at > r.size:
		return fmt.Errorf("content at %d lies outside of the file system's %d bytes", uint64(n.at), r.size)
	case n.fragment == noFragment:
		return nil
	case int64(n.fragment) >= int64(len(r.fragments)):
		return fmt.Errorf("fragment %d of %d", n.fragment, len(r.fragments))
	case int64(n.tailAt)+n.size%r.blockSize > r.blockSize:
		return fmt.Errorf("%d bytes at %d of a fragment are not within a block of %d", n.size%r.blockSize, n.tailAt, r.blockSize)
	}
	return nil
}

// inode reads the inode at a reference.
func (r *reader) inode(ref uint64) (inode, error) {
	at := r.inodes.place(ref)
	d := &decoder{c: r.cursor(&r.inodes, at)}
	n := d.inode()
	if d.err == nil && n.kind == tree.Symlink {
		d.err = checkTarget(n.target)
	}
	if d.err != nil {
		return n, fmt.Errorf("inode at %d, byte %d: %w", at.at, at.off, d.err)
	}
	return n, nil
}

func checkTarget(target string) error {
	for i := range len(target) {
		if target[i] == 0 {
			return fmt.Errorf("symlink target %.60q holds a NUL", target)
		}
	}
	if target == "" {
		return errors.New("symlink target is empty")
	}
	return nil
}

// A decoder reads fields of an inode. After an error it returns zeros.
type decoder struct {
	c   *cursor
	err error
}

func (d *decoder) bytes(n int) []byte {
	if d.err == nil {
		var b []byte
		if b, d.err = d.c.bytes(n); d.err == nil {
			return b
		}
	}
	return make([]byte, n)
}

func (d *decoder) uint16() uint16 { return le.Uint16(d.bytes(2)) }
func (d *decoder) uint32() uint32 { return le.Uint32(d.bytes(4)) }
func (d *decoder) uint64() uint64 { return le.Uint64(d.bytes(8)) }

// inode reads an inode (struct squashfs_base_inode, and what follows in that of each type).
func (d *decoder) inode() inode {
	n := inode{code: d.uint16(), mode: d.uint16(), uid: d.uint16(), gid: d.uint16(), mtime: d.uint32(), number: d.uint32(), links: 1, xattrs: noXattrs}
	if d.err != nil {
		return n
	}
	known := false
	if n.extended = n.code > typeExtended; n.extended {
		n.code -= typeExtended
	}
	if n.kind, known = kinds[n.code]; !known {
		d.err = fmt.Errorf("type %d is not known", n.code)
		return n
	}
	switch n.kind {
	case tree.Dir:
		d.dir(&n)
	case tree.File:
		d.file(&n)
	default:
		d.special(&n)
	}
	return n
}

// extendedDir is the size of struct squashfs_ldir_inode in bytes, after which the index begins.
const extendedDir = 40

// dir reads struct squashfs_dir_inode, or squashfs_ldir_inode. The size has three bytes more than the directory.
func (d *decoder) dir(n *inode) {
	const more = 3
	if n.extended {
		n.links, n.listing.size, n.listing.block, n.parent = d.uint32(), int64(d.uint32()), d.uint32(), d.uint32()
		n.index, n.listing.off, n.xattrs = int(d.uint16()), d.uint16(), d.uint32()
	} else {
		n.listing.block, n.links, n.listing.size = d.uint32(), d.uint32(), int64(d.uint16())
		n.listing.off, n.parent = d.uint16(), d.uint32()
	}
	if n.listing.size -= more; n.listing.size < 0 && d.err == nil {
		d.err = fmt.Errorf("directory of %d bytes", n.listing.size+more)
	}
}

// file reads struct squashfs_reg_inode, or squashfs_lreg_inode.
func (d *decoder) file(n *inode) {
	if n.extended {
		n.at, n.size, n.sparse, n.links = int64(d.uint64()), int64(d.uint64()), d.uint64(), d.uint32()
		n.fragment, n.tailAt, n.xattrs = d.uint32(), d.uint32(), d.uint32()
	} else {
		n.at, n.fragment, n.tailAt, n.size = int64(d.uint32()), d.uint32(), d.uint32(), int64(d.uint32())
	}
	n.blocks = d.c.at
}

// special reads what the inodes of symlinks, devices, fifos and sockets have.
func (d *decoder) special(n *inode) {
	n.links = d.uint32()
	switch n.kind {
	case tree.Symlink:
		size := d.uint32()
		if size > maxTarget && d.err == nil {
			d.err = fmt.Errorf("symlink target of %d bytes, %d are allowed", size, maxTarget)
			return
		}
		n.target = string(d.bytes(int(size)))
	case tree.CharDevice, tree.BlockDevice:
		n.device = deviceOf(d.uint32())
	}
	if n.extended {
		n.xattrs = d.uint32()
	}
}

// dir reads a directory and everything below it.
func (r *reader) dir(name string, n inode, depth int) (kids []*tree.Node, err error) {
	if r.omit.Enter(name) {
		return nil, nil
	}
	defer r.omit.Leave()
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d directories are nested", maxDepth)
	}
	last := ""
	err = r.eachEntry(n.listing, func(e entry) error {
		if err := e.check(last); err != nil {
			return err
		}
		last = e.name
		kid, err := r.node(e.name, e.ref, depth+1)
		if err != nil {
			return fault.Below(e.name, err)
		}
		if kind := kid.Inode().Kind(); kinds[e.code] != kind {
			return fault.Below(e.name, fmt.Errorf("the directory says type %d, the inode is a %v", e.code, kind))
		}
		kids = append(kids, kid)
		return nil
	})
	return kids, err
}
