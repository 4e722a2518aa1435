package erofs

import (
	"cmp"
	"fmt"
	"slices"

	"imprint/internal/tree"
)

// plainAttr is the key of attributes without extended ones, which most inodes have. Nodes with equal ones share a [tree.Attr].
type plainAttr struct {
	mode     uint16
	uid, gid uint32
	mtime    tree.Time
}

func (p plainAttr) attr() *tree.Attr {
	return &tree.Attr{Mode: p.mode, UID: p.uid, GID: p.gid, Mtime: p.mtime}
}

func (r *reader) plain(p plainAttr) *tree.Attr {
	a := r.attrs[p]
	if a == nil {
		a = p.attr()
		r.attrs[p] = a
	}
	return a
}

// attr reads the attributes of an inode that ends at offset at, and returns the offset after them.
func (r *reader) attr(n inode, at int64) (*tree.Attr, int64, error) {
	p := plainAttr{n.mode &^ typeMask, n.uid, n.gid, n.mtime}
	if n.xattrs == 0 {
		return r.plain(p), at, nil
	}
	size := int64(xattrHeader) + int64(n.xattrs-1)*xattrAlign
	b, err := r.bytes(at, size)
	if err != nil {
		return nil, 0, err
	}
	shared := int(b[4])
	a := p.attr()
	if b = b[xattrHeader:]; len(b) < 4*shared {
		return nil, 0, fmt.Errorf("%d shared attributes do not fit into %d bytes", shared, len(b))
	}
	for ; shared > 0; shared-- {
		x, err := r.sharedXattr(le.Uint32(b))
		if err != nil {
			return nil, 0, err
		}
		a.Xattrs, b = append(a.Xattrs, x), b[4:]
	}
	for len(b) > 0 {
		x, size, err := parseXattr(b)
		if err != nil {
			return nil, 0, err
		}
		a.Xattrs, b = append(a.Xattrs, x), b[size:]
	}
	slices.SortFunc(a.Xattrs, func(x, y tree.Xattr) int { return cmp.Compare(x.Name, y.Name) })
	for i := 1; i < len(a.Xattrs); i++ {
		if name := a.Xattrs[i].Name; name == a.Xattrs[i-1].Name {
			return nil, 0, fmt.Errorf("extended attribute %q is there twice", name)
		}
	}
	return a, at + size, nil
}

// sharedXattr returns the shared attribute with an ID.
func (r *reader) sharedXattr(id uint32) (tree.Xattr, error) {
	if x, ok := r.shared[id]; ok {
		return x, nil
	}
	at := int64(r.super.xattrBlock)*blockSize + int64(id)*xattrAlign
	head, err := r.bytes(at, xattrEntry)
	if err != nil {
		return tree.Xattr{}, err
	}
	rest, err := r.bytes(at+xattrEntry, int64(head[0])+int64(le.Uint16(head[2:])))
	if err != nil {
		return tree.Xattr{}, err
	}
	x, _, err := parseXattr(append(head, rest...))
	if err == nil {
		r.shared[id] = x
	}
	return x, err
}

// parseXattr is the inverse of appendXattr. It also returns the size of the entry with its padding.
func parseXattr(b []byte) (x tree.Xattr, size int, err error) {
	if len(b) < xattrEntry {
		return x, 0, fmt.Errorf("%d bytes after the extended attributes", len(b))
	}
	nameEnd := xattrEntry + int(b[0])
	end := nameEnd + int(le.Uint16(b[2:]))
	if end > len(b) {
		return x, 0, fmt.Errorf("extended attribute of %d bytes, %d are left", end, len(b))
	}
	name, ok := joinXattr(b[1], string(b[xattrEntry:nameEnd]))
	if !ok {
		return x, 0, fmt.Errorf("extended attribute %q of kind %d is not known", b[xattrEntry:nameEnd], b[1])
	}
	return tree.Xattr{Name: name, Value: b[nameEnd:end:end]}, min(len(b), (end+xattrAlign-1)&^(xattrAlign-1)), nil
}
