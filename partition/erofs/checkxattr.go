package erofs

import (
	"fmt"

	"imprint/internal/fault"
	"imprint/internal/span"
)

// xattrFields are the header of the attributes after an inode (struct erofs_xattr_ibody_header).
var xattrFields = span.Row(span.Field{Len: 4, Name: "h_name_filter"}, span.Field{Len: 1, Name: "h_shared_count"}, span.Field{Len: 7, Name: "h_reserved2"})

// compatFilter is set where h_name_filter says which names are not there.
const compatFilter = 1 << 2

// attributes checks the extended attributes of an inode that ends at an offset, and returns where they end.
func (a *audit) attributes(n *audited, at int64) (end int64) {
	if n.xattrs == 0 {
		return at
	}
	size := int64(xattrHeader) + int64(n.xattrs-1)*xattrAlign
	end = at + size
	b, err := a.bytes(at, size)
	if err != nil {
		a.fault(n.field("i_xattr_icount"), n, n.String(), err.Error())
		return end
	}
	a.spans.Add(at, size, piece{use: xattrUse, of: n})
	names := map[string]bool{}
	shared := int64(b[4])
	if filter := le.Uint32(b); filter != 0 && a.super.compat&compatFilter == 0 {
		a.fault(at, n, "extended attributes", fault.Mismatch("h_name_filter", filter, 0))
	}
	if i := nonZero(b[5:xattrHeader]); i >= 0 {
		a.fault(at+5+int64(i), n, "extended attributes", fault.Mismatch("h_reserved2", fmt.Sprintf("%x", b[5:xattrHeader]), 0))
	}
	from := xattrHeader + 4*shared
	if from > size {
		a.fault(at+4, n, "extended attributes", fmt.Sprintf("%d shared ones do not fit into %d bytes", shared, size-xattrHeader))
		return end
	}
	for i := range shared {
		a.sharedName(n, at+xattrHeader+4*i, le.Uint32(b[xattrHeader+4*i:]), names)
	}
	for off := from; off < size; {
		used := a.xattr(n, at+off, b[off:], names)
		if used == 0 {
			break
		}
		off += used
	}
	return end
}

// xattr checks an entry at the front of b and returns its size, 0 if it is none.
func (a *audit) xattr(n *audited, at int64, b []byte, names map[string]bool) int64 {
	x, size, err := parseXattr(b)
	if err != nil {
		a.fault(at, n, "extended attribute", err.Error())
		return 0
	}
	used := xattrEntry + int(b[0]) + int(le.Uint16(b[2:]))
	if i := nonZero(b[used:size]); i >= 0 {
		a.fault(at+int64(used+i), n, fmt.Sprintf("extended attribute %q", x.Name), "is followed by bytes that are not zero")
	}
	a.once(n, at, x.Name, names)
	return int64(size)
}

func (a *audit) once(n *audited, at int64, name string, names map[string]bool) {
	if names[name] {
		a.fault(at, n, fmt.Sprintf("extended attribute %q", name), "is there twice")
	}
	names[name] = true
}

// sharedName checks a shared attribute of an inode, whose ID is at an offset.
func (a *audit) sharedName(n *audited, at int64, id uint32, names map[string]bool) {
	_, known := a.shared[id]
	x, err := a.sharedXattr(id)
	if err != nil {
		a.fault(at, n, "shared extended attribute", fmt.Sprintf("ID %d: %v", id, err))
		return
	}
	a.once(n, at, x.Name, names)
	if known {
		return
	}
	_, rest, _ := splitXattr(x.Name)
	size, where := xattrSize(x), a.sharedAt(id)
	a.spans.Add(where, size, piece{use: sharedUse, from: int64(id)})
	pad := make([]byte, size-int64(xattrEntry+len(rest)+len(x.Value)))
	if readFull(a.image, pad, where+size-int64(len(pad))) == nil && nonZero(pad) >= 0 {
		a.fault(where, nil, fmt.Sprintf("shared extended attribute %q", x.Name), "is followed by bytes that are not zero")
	}
}

// sharedAt is where the shared attribute of an ID lies.
func (a *audit) sharedAt(id uint32) int64 {
	return int64(a.super.xattrBlock)*blockSize + int64(id)*xattrAlign
}
