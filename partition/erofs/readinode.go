package erofs

import (
	"errors"
	"fmt"

	"imprint/internal/fault"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// maxDepth is how deep directories may be nested. A path of that depth has at least 8192 bytes, twice PATH_MAX.
const maxDepth = 4096

// errTwice refuses a directory with two names, over which a walk might not end.
var errTwice = errors.New("the directory has a second name")

// node reads what a nid names. An inode that was read before gives a link to it. parent is the nid of the directory above; depth
// counts directories.
func (r *reader) node(name string, nid, parent uint64, depth int) (*tree.Node, error) {
	if first, ok := r.inodes[nid]; ok {
		if first == nil || first.Kind() == tree.Dir {
			return nil, errTwice
		}
		return tree.NewLink(name, first), nil
	}
	r.inodes[nid] = nil
	r.count++
	n, err := r.newNode(name, nid, parent, depth)
	if err != nil {
		return nil, err
	}
	r.inodes[nid] = n
	return n, nil
}

// newNode reads an inode that was not read before, with everything below it.
func (r *reader) newNode(name string, nid, parent uint64, depth int) (*tree.Node, error) {
	at, n, err := r.inode(nid)
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", nid, err)
	}
	attr, at, err := r.attr(n, at)
	if err != nil {
		return nil, err
	}
	kind, ok := kindOf(n.mode)
	if !ok {
		return nil, fmt.Errorf("mode %#o has no known type", n.mode)
	}
	switch kind {
	case tree.CharDevice, tree.BlockDevice:
		return tree.NewDevice(name, attr, kind, parseDevice(n.u)), nil
	case tree.Fifo, tree.Socket:
		return tree.NewSpecial(name, attr, kind), nil
	}
	content, err := r.content(n, at)
	if err != nil {
		return nil, err
	}
	switch kind {
	case tree.File:
		return tree.NewFile(name, attr, content), nil
	case tree.Symlink:
		target, err := r.target(content)
		if err != nil {
			return nil, err
		}
		return tree.NewSymlink(name, attr, target), nil
	}
	kids, err := r.dir(name, content, nid, parent, depth)
	if err != nil {
		return nil, err
	}
	return tree.NewDir(name, attr, kids), nil
}

// inode reads an inode, and returns the offset after it.
func (r *reader) inode(nid uint64) (at int64, n inode, err error) {
	if nid > uint64(r.size)/slotSize {
		return 0, n, fmt.Errorf("is not within the file system's %d bytes", r.size)
	}
	at = int64(r.super.metaBlock)*blockSize + int64(nid)*slotSize
	b, err := r.bytes(at, compactSize)
	if err != nil {
		return 0, n, err
	}
	n, ok := parseInode(b, r.super.made)
	if n.extended {
		more, err := r.bytes(at+compactSize, extendedSize-compactSize)
		if err != nil {
			return 0, n, err
		}
		n, ok = parseInode(append(b, more...), r.super.made)
	}
	switch {
	case !ok:
		return 0, n, fmt.Errorf("format 0x%x is not known", le.Uint16(b))
	case n.mtime.Nsec >= 1e9:
		return 0, n, fmt.Errorf("time with %d nanoseconds", n.mtime.Nsec)
	case n.size < 0:
		return 0, n, fmt.Errorf("size of %d bytes is impossible", uint64(n.size))
	}
	return at + n.bytes(), n, nil
}

// layoutNames are the layouts that are not supported.
var layoutNames = map[uint8]string{1: "compressed", 3: "compressed", 4: "stored in chunks"}

// content returns the content of an inode; at is the offset after its attributes.
func (r *reader) content(n inode, at int64) (*stored, error) {
	tail := int64(0)
	switch n.layout {
	case flatPlain:
	case flatInline:
		tail = n.size % blockSize
	default:
		return nil, fmt.Errorf("content is %s (layout %d), which is not supported", layoutName(n.layout), n.layout)
	}
	s := &stored{image: r.image, size: n.size, tail: tail, tailAt: at, at: int64(n.u) * blockSize}
	switch blocks := units.Blocks(n.size-tail, blockSize); {
	case n.size > r.size || blocks > 0 && s.at > r.size-blocks*blockSize:
		return nil, fmt.Errorf("content of %d bytes at %d lies outside of the file system's %d", n.size, s.at, r.size)
	case tail > 0 && (at > r.size-tail || at%blockSize+tail > blockSize):
		return nil, fmt.Errorf("%d bytes of content at %d, after the inode, cross the end of a block", tail, at)
	case n.layout == flatInline && tail == 0 && n.size > 0:
		return nil, fmt.Errorf("content of %d bytes has no part to lie after the inode", n.size)
	}
	return s, nil
}

func layoutName(layout uint8) string {
	if name, ok := layoutNames[layout]; ok {
		return name
	}
	return "of an unknown kind"
}

// target reads the target of a symlink.
func (r *reader) target(content *stored) (string, error) {
	if content.size > maxTarget {
		return "", fmt.Errorf("symlink target of %d bytes, %d are allowed", content.size, maxTarget)
	}
	b, err := r.part(content, 0)
	if err != nil {
		return "", err
	}
	return string(b), checkTarget(string(b))
}

// part reads a block of content that is structure, or what is left of it after off.
func (r *reader) part(s *stored, off int64) ([]byte, error) {
	b := make([]byte, min(blockSize, s.size-off))
	if r.budget -= int64(len(b)); r.budget < 0 {
		return nil, fault.ErrOverlap
	}
	_, err := s.ReadAt(b, off)
	return b, err
}
