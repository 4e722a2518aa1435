package hosttree

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"imprint/internal/posixacl"
	"imprint/internal/tree"
)

// Records of PAX headers that are part of a file, besides those of POSIX (pax, "pax Extended Header"), which package archive/tar has read.
const (
	schilyXattr     = "SCHILY.xattr."     // star, GNU tar, libarchive: the name of an extended attribute follows; the value is its bytes
	libarchiveXattr = "LIBARCHIVE.xattr." // libarchive: the name follows, URL-encoded; the value is in base64
	aclAccess       = "SCHILY.acl.access" // star, GNU tar, libarchive: as text
	aclDefault      = "SCHILY.acl.default"
	seLinux         = "RHT.security.selinux" // GNU tar: the context, without the NUL that ends it in the attribute
)

// Names of the extended attributes that those records stand for.
const (
	aclAccessXattr  = "system.posix_acl_access"
	aclDefaultXattr = "system.posix_acl_default"
	seLinuxXattr    = "security.selinux"
)

// known are the records that need no handling here: archive/tar has read them, they describe how the entry is stored, or they have what a copy
// of a file does not keep, such as the number of its inode. takeACLs reads the lists, deviceOf the numbers of devices.
var known = map[string]bool{
	"path": true, "linkpath": true, "size": true, "uid": true, "gid": true, "uname": true, "gname": true, "mtime": true, "atime": true,
	"ctime": true, "comment": true, "charset": true, "hdrcharset": true,
	"GNU.sparse.size": true, "GNU.sparse.numblocks": true, "GNU.sparse.offset": true, "GNU.sparse.numbytes": true, "GNU.sparse.map": true,
	"GNU.sparse.name": true, "GNU.sparse.major": true, "GNU.sparse.minor": true, "GNU.sparse.realsize": true,
	"GNU.volume.label": true, "SCHILY.devmajor": true, "SCHILY.devminor": true, aclAccess: true, aclDefault: true,
	"SCHILY.dev": true, "SCHILY.ino": true, "SCHILY.nlink": true, "SCHILY.filetype": true, "LIBARCHIVE.creationtime": true, "LIBARCHIVE.symlinktype": true,
}

// takeRecords adds the records of an entry to h. An unknown record is an error, since the file may be useless without it.
func (h *Host) takeRecords(records map[string]string) error {
	found := map[string]string{} // values of extended attributes by name
	for _, key := range slices.Sorted(maps.Keys(records)) {
		name, value, err := xattrOf(key, records[key])
		if err != nil {
			return err
		}
		if other, twice := found[name]; twice && other != value {
			return fmt.Errorf("extended attribute %.80q has two values in records of the header", name)
		}
		if name != "" {
			found[name] = value
		}
	}
	if err := h.takeACLs(records, found); err != nil {
		return err
	}
	for name, value := range found {
		h.Xattrs = append(h.Xattrs, tree.Xattr{Name: name, Value: []byte(value)})
	}
	slices.SortFunc(h.Xattrs, func(a, b tree.Xattr) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

// xattrOf returns the extended attribute that a record stands for, with the name "" if it stands for none.
func xattrOf(key, value string) (name, attribute string, err error) {
	switch {
	case known[key]:
		return "", "", nil
	case key == seLinux:
		return seLinuxXattr, strings.TrimSuffix(value, "\x00") + "\x00", nil
	case strings.HasPrefix(key, schilyXattr):
		return checkXattr(encoded.Replace(key[len(schilyXattr):]), value)
	case strings.HasPrefix(key, libarchiveXattr):
		if name, err = url.PathUnescape(key[len(libarchiveXattr):]); err != nil {
			return "", "", fmt.Errorf("record %.80q: the name is not URL-encoded", key)
		}
		// The padding of the last group is optional.
		decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "=\n"))
		if err != nil {
			return "", "", fmt.Errorf("record %.80q: the value is not in base64", key)
		}
		return checkXattr(name, string(decoded))
	}
	return "", "", fmt.Errorf("record %.80q says something that is not understood: pack the archive without it, or leave the file out", key)
}

// encoded is what GNU tar writes for characters that the name of a record cannot have.
var encoded = strings.NewReplacer("%3D", "=", "%25", "%")

// checkXattr refuses a name that no attribute can have. That a file system has no such name space, the file system reports.
func checkXattr(name, value string) (string, string, error) {
	if name == "" || strings.ContainsRune(name, 0) {
		return "", "", fmt.Errorf("extended attribute with the name %.80q", name)
	}
	return name, value, nil
}

// takeACLs reads the access control lists of a file, from extended attributes, which have only numbers, or else from text. As when a list is
// set on a file, its entries for owner, mask and others become the permission bits; a list that these bits can express is dropped.
func (h *Host) takeACLs(records, found map[string]string) error {
	for _, kind := range []struct{ record, xattr string }{{aclAccess, aclAccessXattr}, {aclDefault, aclDefaultXattr}} {
		list, err := aclIn(records[kind.record], found[kind.xattr])
		delete(found, kind.xattr)
		switch {
		case err != nil:
			return fmt.Errorf("record %s: %v", kind.record, err)
		case list == nil || h.Kind == tree.Symlink: // which has none in Linux
			continue
		case kind.record == aclDefault && h.Kind != tree.Dir:
			return fmt.Errorf("record %s of a %v", kind.record, h.Kind)
		case kind.record == aclAccess:
			h.Mode = h.Mode&^0o777 | list.Mode()
		}
		if kind.record == aclDefault || !list.Minimal() {
			found[kind.xattr] = string(list.Encode())
		}
	}
	return nil
}

// aclIn returns the list in a text or in a value, nil if there is none.
func aclIn(text, value string) (posixacl.List, error) {
	switch {
	case value != "":
		return posixacl.Decode([]byte(value))
	case strings.TrimSpace(text) != "":
		return posixacl.Parse(text)
	}
	return nil, nil
}

// checkGlobal refuses a global header that would change the entries after it. In practice they only hold comments, such as the commit that
// git archive records.
func checkGlobal(records map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(records)) {
		switch key {
		case "comment", "charset", "hdrcharset", "atime", "ctime", "uname", "gname":
		default:
			return fmt.Errorf("a global header that sets %.80q for all entries after it is not supported", key)
		}
	}
	return nil
}
