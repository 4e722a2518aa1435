package squashfs

import (
	"cmp"
	"fmt"
	"slices"

	"imprint/internal/tree"
)

// plainAttr is the key of attributes, which are the same for most inodes. Nodes with equal ones share a [tree.Attr].
type plainAttr struct {
	mode     uint16
	uid, gid uint32
	mtime    uint32
	xattrs   uint32
}

// attr returns the attributes of an inode.
func (r *reader) attr(n inode) (*tree.Attr, error) {
	for _, id := range []uint16{n.uid, n.gid} {
		if int(id) >= len(r.ids) {
			return nil, fmt.Errorf("owner %d of %d", id, len(r.ids))
		}
	}
	p := plainAttr{n.mode & 0o7777, r.ids[n.uid], r.ids[n.gid], n.mtime, n.xattrs}
	if a := r.attrs[p]; a != nil {
		return a, nil
	}
	xattrs, err := r.xattrs(n.xattrs)
	if err != nil {
		return nil, err
	}
	a := &tree.Attr{Mode: p.mode, UID: p.uid, GID: p.gid, Mtime: tree.Time{Sec: int64(p.mtime)}, Xattrs: xattrs}
	r.attrs[p] = a
	return a, nil
}

// An attribute is an entry of the table of extended attributes (struct squashfs_xattr_id): a list of them, which several inodes may have.
type attribute struct {
	ref   uint64 // of the list
	count uint32
	size  uint32 // bytes when they are listed
}

const (
	attributeSize   = 16
	attributeHeader = 16 // struct squashfs_xattr_id_table: the offset of the lists, the number of entries, and 4 unused bytes
)

// readAttributes reads the table of extended attributes, and finds the lists that it leads to.
func (r *reader) readAttributes() error {
	at := r.super.XattrTable
	if at > uint64(r.size-attributeHeader) {
		return fmt.Errorf("the table of extended attributes begins at %d, and the file system has %d bytes", at, r.size)
	}
	var head [attributeHeader]byte
	if err := readFull(r.image, head[:], int64(at)); err != nil {
		return err
	}
	from, count := le.Uint64(head[:]), le.Uint32(head[8:])
	first, err := r.indexed("extended attributes", at+attributeHeader, int(count), attributeSize, func(b []byte) {
		r.attributes = append(r.attributes, attribute{le.Uint64(b), le.Uint32(b[8:]), le.Uint32(b[12:])})
	})
	if err != nil {
		return err
	}
	if count > 0 && (from < superSize || from >= uint64(first)) {
		return fmt.Errorf("extended attributes begin at %d, after their table at %d", from, first)
	}
	r.values = table{name: "extended attributes", from: int64(from), to: first}
	return nil
}

const (
	xattrKind    = 0xff   // the index of its prefix
	xattrOutside = 1 << 8 // the value is elsewhere
)

// xattrs returns the extended attributes of an index, sorted by name.
func (r *reader) xattrs(index uint32) ([]tree.Xattr, error) {
	if index == noXattrs {
		return nil, nil
	}
	if list, ok := r.shared[index]; ok {
		return list, nil
	}
	if int64(index) >= int64(len(r.attributes)) {
		return nil, fmt.Errorf("extended attributes %d of %d", index, len(r.attributes))
	}
	a := r.attributes[index]
	d := &decoder{c: r.cursor(&r.values, r.values.place(a.ref))}
	var list []tree.Xattr
	for range a.count {
		if list = append(list, d.xattr()); d.err != nil {
			return nil, fmt.Errorf("extended attributes %d: %w", index, d.err)
		}
	}
	slices.SortFunc(list, func(x, y tree.Xattr) int { return cmp.Compare(x.Name, y.Name) })
	for i := 1; i < len(list); i++ {
		if list[i].Name == list[i-1].Name {
			return nil, fmt.Errorf("extended attribute %q is there twice", list[i].Name)
		}
	}
	r.shared[index] = list
	return list, nil
}

// xattr reads an extended attribute (struct squashfs_xattr_entry, squashfs_xattr_val).
func (d *decoder) xattr() (x tree.Xattr) {
	kind, size := d.uint16(), int(d.uint16())
	if d.err == nil && int(kind&xattrKind) >= len(xattrPrefixes) {
		d.err = fmt.Errorf("kind %d is not known", kind&xattrKind)
	}
	if d.err == nil && size > maxXattrName {
		d.err = fmt.Errorf("name of %d bytes, %d are allowed", size, maxXattrName)
	}
	if d.err != nil {
		return x
	}
	x.Name = xattrPrefixes[kind&xattrKind] + string(d.bytes(size))
	if kind&xattrOutside == 0 {
		x.Value = d.value()
		return x
	}
	if n := d.uint32(); n != 8 && d.err == nil {
		d.err = fmt.Errorf("reference to a value of %d bytes", n)
	}
	ref := d.uint64()
	if d.err == nil {
		x.Value, d.err = d.c.outside(ref)
	}
	return x
}

// value reads a value and its length.
func (d *decoder) value() []byte {
	n := d.uint32()
	if n > maxXattrValue && d.err == nil {
		d.err = fmt.Errorf("value of %d bytes, %d are allowed", n, maxXattrValue)
	}
	if d.err != nil {
		return nil
	}
	return d.bytes(int(n))
}

// outside reads a value that is elsewhere, with another attribute that has the same.
func (r *reader) outside(ref uint64) ([]byte, error) {
	if v, ok := r.sharedValues[ref]; ok {
		return v, nil
	}
	c := r.cursor(&r.values, r.values.place(ref))
	c.counted = false // it counts where it belongs
	d := &decoder{c: c}
	v := d.value()
	if d.err == nil {
		r.sharedValues[ref] = v
	}
	return v, d.err
}
