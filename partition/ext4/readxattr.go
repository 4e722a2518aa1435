package ext4

import (
	"fmt"
	"slices"
	"strings"

	"imprint/internal/tree"
)

// Indexes of names that are not attributes to users: the encryption context, and the rest of inline content, which is "system.data".
const (
	systemIndex     = 7
	encryptionIndex = 9
	inlineName      = "data"
)

// prefixesRead are prefixes of names that are not laid out, by their number.
var prefixesRead = map[uint8]string{5: "lustre.", 8: "system.richacl", 10: "gnu."}

// A rawXattr is an attribute as it lies in an inode or a block.
type rawXattr struct {
	xattr
	at         int    // offset of its entry
	valueAt    int    // offset of its value
	valueInode uint32 // the inode that holds the value, 0 for none
	size       int    // of the value
	hash       uint32
}

// parseXattrs reads the entries of b from byte at on; values may lie anywhere in b. After an error it returns the entries before it.
func parseXattrs(b []byte, at int) (all []rawXattr, err error) {
	for {
		switch {
		case len(b)-at < xattrEnd:
			return all, fmt.Errorf("extended attributes have no end")
		case le.Uint32(b[at:]) == 0:
			return all, nil
		case len(b)-at < xattrEntry || len(b)-at < xattrEntry+int(b[at]):
			return all, fmt.Errorf("extended attribute at byte %d of %d has a name of %d bytes", at, len(b), b[at])
		}
		e := b[at:]
		x := rawXattr{at: at, valueAt: int(le.Uint16(e[2:])), valueInode: le.Uint32(e[4:]), hash: le.Uint32(e[12:])}
		x.index, x.name = e[1], string(e[xattrEntry:][:e[0]])
		size := le.Uint32(e[8:])
		if x.valueInode == 0 && size > 0 {
			if int64(x.valueAt)+int64(size) > int64(len(b)) {
				return all, fmt.Errorf("extended attribute %q has a value of %d bytes at byte %d of %d", x.name, size, x.valueAt, len(b))
			}
			x.value = b[x.valueAt:][:size]
		}
		if x.size = int(size); size > maxXattrValue {
			return all, fmt.Errorf("extended attribute %q has a value of %d bytes, %d are the limit", x.name, size, maxXattrValue)
		}
		all = append(all, x)
		at += int(x.entrySize())
	}
}

// maxXattrValue is the length of the longest value (Linux: XATTR_SIZE_MAX).
const maxXattrValue = 64 << 10

// bodyXattrs returns the part of an inode with its attributes, nil if it has none.
func (f *frame) bodyXattrs(b []byte) []byte {
	at := oldInode + f.extra(b)
	if f.inodeBytes <= oldInode || at > f.inodeBytes-4 || le.Uint32(b[at:]) != xattrMagic {
		return nil
	}
	return b[at+4 : f.inodeBytes]
}

// attrKey is everything that the attributes of a node are read from: nodes with equal keys share them. It has the number of the attribute block
// in place of its content.
type attrKey struct {
	mode     uint16
	uid, gid uint32
	mtime    tree.Time
	block    int64
	body     string
}

// attr returns the attributes of an inode. Nodes with equal ones share them.
func (r *treeReader) attr(n *inode, b []byte) (*tree.Attr, error) {
	key := attrKey{
		mode: n.Mode & 0o7777, uid: uint32(n.UID) | uint32(n.UIDHigh)<<16, gid: uint32(n.GID) | uint32(n.GIDHigh)<<16,
		mtime: n.mtime(), block: n.xattrBlock(), body: string(r.bodyXattrs(b)),
	}
	if a := r.attrs[key]; a != nil {
		return a, nil
	}
	if key.mtime.Nsec >= 1e9 {
		return nil, fmt.Errorf("time with %d nanoseconds", key.mtime.Nsec)
	}
	a := &tree.Attr{Mode: key.mode, UID: key.uid, GID: key.gid, Mtime: key.mtime}
	var err error
	if a.Xattrs, err = r.xattrs(key); err == nil {
		r.attrs[key] = a
	}
	return a, err
}

// xattrs returns the attributes of an inode and its block, sorted by name.
func (r *treeReader) xattrs(key attrKey) (all []tree.Xattr, err error) {
	if key.block != 0 {
		if all, err = r.blockXattrs(key.block); err != nil || key.body == "" {
			return all, err
		}
	}
	if key.body == "" {
		return nil, nil
	}
	raw, err := parseXattrs([]byte(key.body), 0)
	if err != nil {
		return nil, err
	}
	return r.visible(slices.Clone(all), raw)
}

// blockXattrs reads a block of attributes, once for all inodes that share it.
func (r *treeReader) blockXattrs(block int64) ([]tree.Xattr, error) {
	if all, ok := r.xattrBlocks[block]; ok {
		return all, nil
	}
	b, err := r.block(block)
	if err != nil {
		return nil, fmt.Errorf("block of extended attributes: %w", err)
	}
	if magic := le.Uint32(b); magic != xattrMagic {
		return nil, fmt.Errorf("block %d of extended attributes: magic number 0x%08x, not 0x%08x", block, magic, uint32(xattrMagic))
	}
	raw, err := parseXattrs(b, xattrHeader)
	if err != nil {
		return nil, err
	}
	all, err := r.visible(nil, raw)
	r.xattrBlocks[block] = all
	return all, err
}

// visible appends the attributes that a user sees, and sorts all.
func (r *treeReader) visible(all []tree.Xattr, raw []rawXattr) ([]tree.Xattr, error) {
	for _, x := range raw {
		if x.index == encryptionIndex || x.index == systemIndex && x.name == inlineName {
			continue
		}
		name, err := x.fullName()
		if err != nil {
			return nil, err
		}
		if x.valueInode != 0 {
			if x.value, err = r.valueInode(x); err != nil {
				return nil, fmt.Errorf("extended attribute %q: %w", name, err)
			}
		}
		if name == aclAccess || name == aclDefault {
			if x.value, err = loadedACL(x.value); err != nil {
				return nil, fmt.Errorf("extended attribute %s: %v", name, err)
			}
		}
		all = append(all, tree.Xattr{Name: name, Value: x.value})
	}
	slices.SortFunc(all, func(a, b tree.Xattr) int { return strings.Compare(a.Name, b.Name) })
	for i := range all[min(1, len(all)):] {
		if all[i].Name == all[i+1].Name {
			return nil, fmt.Errorf("extended attribute %q is there twice", all[i].Name)
		}
	}
	return all, nil
}

// fullName returns the name with its prefix.
func (x xattr) fullName() (string, error) {
	for _, p := range xattrPrefixes {
		if p.index == x.index && p.whole == (x.name == "") {
			return p.prefix + x.name, nil
		}
	}
	if prefix := prefixesRead[x.index]; prefix != "" {
		return prefix + x.name, nil
	}
	return "", fmt.Errorf("extended attribute %q has a prefix of number %d, which is not known", x.name, x.index)
}

// valueInode reads a value that lies in an inode of its own (feature ea_inode), once for all attributes that share it.
func (r *treeReader) valueInode(x rawXattr) ([]byte, error) {
	if value, ok := r.values[x.valueInode]; ok && len(value) == x.size {
		return value, nil
	}
	n, _, err := r.inode(r.w, x.valueInode)
	if err != nil {
		return nil, err
	}
	if n.Flags&eaInodeFlag == 0 || n.size() != int64(x.size) {
		return nil, fmt.Errorf("inode %d with flags 0x%x and %d bytes does not hold its value of %d bytes", x.valueInode, n.Flags, n.size(), x.size)
	}
	value, err := r.contentBytes(&n)
	r.values[x.valueInode] = value
	return value, err
}
