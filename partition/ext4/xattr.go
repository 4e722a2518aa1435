package ext4

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// Extended attributes (kernel: "Extended Attributes"): entries from the front, ended by four zero bytes, their values from the back;
// in the inode after a magic number, or in a block after a header.
const (
	xattrMagic     = 0xea020000
	xattrHeader    = 32
	xattrEntry     = 16 // without the name
	xattrEnd       = 4
	xattrPerBlock  = 1024 // inodes that may share a block
	xattrInInodeAt = oldInode + extraFields
	xattrInInode   = inodeSize - xattrInInodeAt - 4 // bytes after the magic number
)

// xattrPrefixes are the prefixes of names that are stored as a number. Whole names come before the prefix that they begin with.
var xattrPrefixes = []struct {
	prefix string
	index  uint8
	whole  bool
}{
	{"user.", 1, false}, {aclAccess, 2, true}, {aclDefault, 3, true}, {"trusted.", 4, false}, {"security.", 6, false}, {"system.", 7, false},
}

// An xattr is an attribute in its stored form.
type xattr struct {
	index uint8
	name  string // without the prefix
	value []byte
}

// An entry is 16 bytes and the name, padded to 4. The value is stored apart, padded to 4 as well.
func (x xattr) entrySize() int64 { return units.Align(xattrEntry+int64(len(x.name)), 4) }
func (x xattr) size() int64      { return x.entrySize() + units.Align(int64(len(x.value)), 4) }

// storedXattr converts an attribute to the form in which it is stored.
func storedXattr(x tree.Xattr) (xattr, error) {
	for _, p := range xattrPrefixes {
		name, ok := strings.CutPrefix(x.Name, p.prefix)
		if !ok || p.whole != (name == "") {
			continue
		}
		if len(name) > 255 {
			return xattr{}, fmt.Errorf("extended attribute name of %d bytes, 255 are allowed: %.40q…", len(name), x.Name)
		}
		if !p.whole {
			return xattr{p.index, name, x.Value}, nil
		}
		value, err := storedACL(x.Value)
		if err != nil {
			return xattr{}, fmt.Errorf("extended attribute %s: %v", x.Name, err)
		}
		return xattr{p.index, name, value}, nil
	}
	return xattr{}, fmt.Errorf("extended attribute %q: ext4 cannot store names with this prefix", x.Name)
}

// An xattrSplit is the attributes of a tree.Attr in the order of a block, divided between the inode and a block.
type xattrSplit struct{ inode, block []xattr }

// splitXattrs puts into the inode each attribute that still fits there, in order, and the rest into a block.
func splitXattrs(a *tree.Attr, blockSize int64) (s xattrSplit, err error) {
	all := make([]xattr, len(a.Xattrs))
	for i, x := range a.Xattrs {
		if all[i], err = storedXattr(x); err != nil {
			return s, err
		}
	}
	slices.SortFunc(all, compareXattrs)
	inInode, inBlock := int64(xattrInInode-xattrEnd), blockSize-xattrHeader-xattrEnd
	need := int64(0)
	for i, x := range all {
		if i > 0 && compareXattrs(all[i-1], x) == 0 {
			return s, fmt.Errorf("duplicate extended attribute %q", x.name)
		}
		if x.size() <= inInode {
			inInode -= x.size()
			s.inode = append(s.inode, x)
			continue
		}
		need += x.size()
		s.block = append(s.block, x)
	}
	if need > inBlock {
		return s, fmt.Errorf("extended attributes of %d bytes, a block has room for %d", need, inBlock)
	}
	return s, nil
}

// compareXattrs is the order within a block: number, length of the name, name.
func compareXattrs(a, b xattr) int {
	return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(len(a.name), len(b.name)), cmp.Compare(a.name, b.name))
}

// putXattrs writes entries and values into b, which is all zeros. Offsets of values count from base bytes before b.
func putXattrs(b []byte, all []xattr, base int) {
	at, end := 0, len(b)
	for _, x := range all {
		end -= int(units.Align(int64(len(x.value)), 4))
		copy(b[end:], x.value)
		e := b[at:]
		e[0], e[1] = uint8(len(x.name)), x.index
		if len(x.value) > 0 {
			le.PutUint16(e[2:], uint16(base+end))
		}
		le.PutUint32(e[8:], uint32(len(x.value)))
		copy(e[xattrEntry:], x.name)
		at += int(x.entrySize())
	}
}

// putXattrsInInode writes attributes into the last part of an inode of zeros.
func putXattrsInInode(b []byte, all []xattr) {
	if len(all) > 0 {
		le.PutUint32(b[xattrInInodeAt:], xattrMagic)
		putXattrs(b[xattrInInodeAt+4:inodeSize], all, 0)
	}
}

// putXattrBlock writes a block of attributes that refs inodes share, except for the checksum, which depends on the block number.
func putXattrBlock(b []byte, all []xattr, refs uint32) {
	putXattrs(b[xattrHeader:], all, xattrHeader)
	at, whole := xattrHeader, uint32(0)
	for _, x := range all {
		h := x.hash()
		le.PutUint32(b[at+12:], h)
		whole = whole<<16 ^ whole>>16 ^ h
		at += int(x.entrySize())
	}
	le.PutUint32(b[0:], xattrMagic)
	le.PutUint32(b[4:], refs)
	le.PutUint32(b[8:], 1) // blocks
	le.PutUint32(b[12:], whole)
}

// hash returns an entry's hash of name and value, by which the kernel finds equal blocks.
func (x xattr) hash() (h uint32) {
	for _, c := range []byte(x.name) {
		h = h<<5 ^ h>>27 ^ uint32(c)
	}
	return x.hashOn(h)
}

// hashOn continues the hash with the value.
func (x xattr) hashOn(h uint32) uint32 {
	for v := x.value; len(v) > 0; v = v[min(4, len(v)):] {
		var word [4]byte
		copy(word[:], v)
		h = h<<16 ^ h>>16 ^ le.Uint32(word[:])
	}
	return h
}

// putXattrChecksum sets the header's checksum, over the number of the block and its bytes.
func putXattrChecksum(b []byte, block int64, sum checksum) {
	var number [8]byte
	le.PutUint64(number[:], uint64(block))
	le.PutUint32(b[16:], uint32(sum.over(number[:]).over(b)))
}
