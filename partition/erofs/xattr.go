package erofs

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// Extended attributes follow the inode (struct erofs_xattr_ibody_header): 12 bytes of header, the IDs of shared attributes in 4 bytes each,
// then entries (struct erofs_xattr_entry): 4 bytes, name, value, up to the next multiple of 4. A shared attribute is such an entry in an
// area of its own; its ID is its place there, in units of 4 bytes.
const (
	xattrHeader = 12
	xattrEntry  = 4 // beside name and value
	xattrAlign  = 4
	maxShared   = 255 // h_shared_count has 8 bits
)

// xattrPrefixes are the prefixes of names, which are stored as numbers. Access control lists are stored as getxattr returns them, and have
// no name besides the number.
var xattrPrefixes = []struct {
	prefix string
	index  uint8
	whole  bool
}{
	{"user.", 1, false}, {"system.posix_acl_access", 2, true}, {"system.posix_acl_default", 3, true}, {"trusted.", 4, false}, {"security.", 6, false},
}

// splitXattr splits a name into the number of its prefix and the rest.
func splitXattr(name string) (index uint8, rest string, ok bool) {
	for _, p := range xattrPrefixes {
		if rest, ok := strings.CutPrefix(name, p.prefix); ok && p.whole == (rest == "") {
			return p.index, rest, true
		}
	}
	return 0, "", false
}

// joinXattr is the inverse of splitXattr.
func joinXattr(index uint8, rest string) (name string, ok bool) {
	for _, p := range xattrPrefixes {
		if p.index == index {
			return p.prefix + rest, p.whole == (rest == "")
		}
	}
	return "", false
}

// maxXattrBody is the largest number of bytes that i_xattr_icount can express.
const maxXattrBody = xattrHeader + (math.MaxUint16-1)*xattrAlign

// checkXattrs checks names and values, and that the attributes fit after an inode even if none of them is shared: which ones are is only known
// when the whole tree was counted.
func checkXattrs(all []tree.Xattr) error {
	body := int64(xattrHeader)
	for i, x := range all {
		_, rest, ok := splitXattr(x.Name)
		switch {
		case !ok:
			return fmt.Errorf("extended attribute %q has a name that EROFS has no number for", x.Name)
		case len(rest) > 255 || len(x.Value) > math.MaxUint16:
			return fmt.Errorf("extended attribute %.40q: name of %d and value of %d bytes, 255 and %d are allowed", x.Name, len(rest), len(x.Value), math.MaxUint16)
		case slices.ContainsFunc(all[:i], func(y tree.Xattr) bool { return y.Name == x.Name }):
			return fmt.Errorf("extended attribute %q is there twice", x.Name)
		}
		body += xattrSize(x)
	}
	if body > maxXattrBody {
		return fmt.Errorf("extended attributes of %d bytes, %d are allowed", body, maxXattrBody)
	}
	return nil
}

// xattrSize is the size in bytes of an attribute's entry.
func xattrSize(x tree.Xattr) int64 {
	_, rest, _ := splitXattr(x.Name)
	return units.Align(int64(xattrEntry+len(rest)+len(x.Value)), xattrAlign)
}

// appendXattr appends an entry: length of the name (1 byte), number of the prefix (1), length of the value (2), name, value, padding.
func appendXattr(b []byte, x tree.Xattr) []byte {
	at := len(b)
	index, rest, _ := splitXattr(x.Name)
	b = append(b, uint8(len(rest)), index, 0, 0)
	le.PutUint16(b[at+2:], uint16(len(x.Value)))
	b = append(append(b, rest...), x.Value...)
	return append(b, make([]byte, xattrSize(x)-int64(len(b)-at))...)
}

// xattrCount returns i_xattr_icount for a number of bytes: 0 for none, else 1 for the header and 1 for each 4 bytes after it.
func xattrCount(bytes int64) uint16 {
	if bytes == 0 {
		return 0
	}
	return uint16((bytes-xattrHeader)/xattrAlign + 1)
}

// xattrs decides which attributes are shared. While the tree is measured it counts the inodes that have each attribute.
type xattrs struct {
	uses  map[string]int64  // by xattrKey
	ids   map[string]uint32 // of those that are shared
	area  []tree.Xattr      // the shared ones in the order of their IDs
	bytes int64             // of the area
}

func xattrKey(x tree.Xattr) string { return x.Name + "\x00" + string(x.Value) }

// count counts the attributes of an inode. An attribute becomes shared as soon as that saves space: when n entries take more than one
// entry and n IDs.
func (t *xattrs) count(a *tree.Attr) {
	for i, x := range a.Xattrs {
		if t.uses == nil {
			t.uses, t.ids = map[string]int64{}, map[string]uint32{}
		}
		key := xattrKey(x)
		t.uses[key]++
		n, size := t.uses[key], xattrSize(x)
		if _, shared := t.ids[key]; shared || i >= maxShared || (n-1)*size <= 4*n {
			continue
		}
		t.ids[key] = uint32(t.bytes / xattrAlign)
		t.area = append(t.area, x)
		t.bytes += size
	}
}

// shared returns the ID of attribute i of an inode, if it is shared.
func (t *xattrs) shared(all []tree.Xattr, i int) (id uint32, ok bool) {
	if i >= maxShared {
		return 0, false
	}
	id, ok = t.ids[xattrKey(all[i])]
	return id, ok
}

// size returns the bytes of the attributes after an inode.
func (t *xattrs) size(a *tree.Attr) int64 {
	if len(a.Xattrs) == 0 {
		return 0
	}
	n := int64(xattrHeader)
	for i, x := range a.Xattrs {
		if _, ok := t.shared(a.Xattrs, i); ok {
			n += 4
		} else {
			n += xattrSize(x)
		}
	}
	return n
}

// append appends the attributes as they follow an inode.
func (t *xattrs) append(b []byte, a *tree.Attr) []byte {
	if len(a.Xattrs) == 0 {
		return b
	}
	at := len(b)
	b = append(b, make([]byte, xattrHeader)...)
	for i := range a.Xattrs {
		if id, ok := t.shared(a.Xattrs, i); ok {
			b[at+4]++
			b = le.AppendUint32(b, id)
		}
	}
	for i, x := range a.Xattrs {
		if _, ok := t.shared(a.Xattrs, i); !ok {
			b = appendXattr(b, x)
		}
	}
	return b
}
