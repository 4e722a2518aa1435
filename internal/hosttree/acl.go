package hosttree

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// An acl is a POSIX access control list (acl(5)), sorted by tag and ID.
type acl []aclEntry

type aclEntry struct {
	tag  uint16
	perm uint16 // 4 read, 2 write, 1 execute
	id   uint32 // of a named user or group
}

// Tags of entries (linux/posix_acl.h).
const (
	tagOwner      = 0x01
	tagUser       = 0x02
	tagGroup      = 0x04 // the owning group
	tagNamedGroup = 0x08
	tagMask       = 0x10 // the most that entries other than the owner's and others' grant
	tagOther      = 0x20
)

// aclVersion begins the form of a list in system calls.
const aclVersion = 2

// noID is the ID of entries that name nobody.
const noID = 1<<32 - 1

// maxACL is the largest list in entries: the value of an extended attribute has at most 64 KiB (XATTR_SIZE_MAX).
const maxACL = (64<<10 - 4) / 8

// parseACL reads the long text form (acl(5)), with newlines or commas between entries. Named users and groups must have numbers, in place of
// the names or after the permissions, as star and libarchive add them: the meaning of a name depends on the host.
func parseACL(text string) (acl, error) {
	var list acl
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == ',' }) {
		line, _, _ = strings.Cut(line, "#") // a comment, such as the effective permissions
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		e, err := parseACLEntry(strings.Split(strings.TrimPrefix(line, "default:"), ":"))
		if err != nil {
			return nil, fmt.Errorf("%v in the entry %.80q", err, line)
		}
		if list = append(list, e); len(list) > maxACL {
			return nil, fmt.Errorf("more than %d entries", maxACL)
		}
	}
	return list.checked()
}

// parseACLEntry reads an entry of the fields tag, name, permissions and perhaps ID. Solaris omits an empty name.
func parseACLEntry(fields []string) (e aclEntry, err error) {
	tags := map[string]uint16{
		"user": tagOwner, "u": tagOwner, "group": tagGroup, "g": tagGroup, "mask": tagMask, "m": tagMask, "other": tagOther, "o": tagOther,
	}
	e = aclEntry{tag: tags[fields[0]], id: noID}
	if len(fields) == 2 && (e.tag == tagMask || e.tag == tagOther) {
		fields = []string{fields[0], "", fields[1]}
	}
	if e.tag == 0 || len(fields) < 3 || len(fields) > 4 {
		return e, fmt.Errorf("no tag, name and permissions")
	}
	if e.perm, err = parsePerm(fields[2]); err != nil || fields[1] == "" {
		return e, err
	}
	switch e.tag {
	case tagOwner:
		e.tag = tagUser
	case tagGroup:
		e.tag = tagNamedGroup
	default:
		return e, fmt.Errorf("a name")
	}
	e.id, err = parseACLName(fields[1], fields[3:])
	return e, err
}

// parseACLName returns the ID of a named user or group; the field after the permissions takes precedence.
func parseACLName(name string, after []string) (uint32, error) {
	number := name
	if len(after) == 1 {
		number = after[0]
	}
	id, err := strconv.ParseUint(number, 10, 32)
	switch {
	case name == "root" && len(after) == 0:
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("a name without its number (bsdtar writes it, and GNU tar with --acls --xattrs)")
	case id == noID:
		return 0, fmt.Errorf("%d, which is no ID,", id)
	}
	return uint32(id), nil
}

func parsePerm(text string) (perm uint16, err error) {
	for _, c := range text {
		switch c {
		case 'r':
			perm |= 4
		case 'w':
			perm |= 2
		case 'x':
			perm |= 1
		case '-':
		default:
			return 0, fmt.Errorf("permissions other than r, w and x")
		}
	}
	return perm, nil
}

// decodeACL reads the form of system calls: a version in 4 bytes, then tag and permissions in 2 bytes each and the ID in 4 for each entry,
// all little-endian (linux/posix_acl_xattr.h).
func decodeACL(value []byte) (acl, error) {
	if len(value)%8 != 4 || binary.LittleEndian.Uint32(value) != aclVersion {
		return nil, fmt.Errorf("access control list of %d bytes is not one of version %d", len(value), aclVersion)
	}
	var list acl
	for b := value[4:]; len(b) > 0; b = b[8:] {
		e := aclEntry{binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint32(b[4:])}
		if e.tag != tagUser && e.tag != tagNamedGroup {
			e.id = noID
		}
		list = append(list, e)
	}
	return list.checked()
}

// encode is the inverse of decodeACL.
func (a acl) encode() []byte {
	b := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, e := range a {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.perm)
		b = binary.LittleEndian.AppendUint32(b, e.id)
	}
	return b
}

// checked sorts the list, and refuses one that the kernel would not take (posix_acl_valid): it must have one entry each for the owner, the group
// and others, at most one for each ID, and a mask if it has any of those.
func (a acl) checked() (acl, error) {
	slices.SortFunc(a, func(a, b aclEntry) int { return cmp.Or(cmp.Compare(a.tag, b.tag), cmp.Compare(a.id, b.id)) })
	count := map[uint16]int{}
	for i, e := range a {
		if named := e.tag == tagUser || e.tag == tagNamedGroup; e.perm > 7 || named == (e.id == noID) {
			return nil, fmt.Errorf("an entry with tag %#x, permissions %#o and ID %d", e.tag, e.perm, e.id)
		}
		if i > 0 && a[i-1].tag == e.tag && a[i-1].id == e.id {
			return nil, fmt.Errorf("two entries for the same")
		}
		count[e.tag]++
	}
	if count[tagOwner] != 1 || count[tagGroup] != 1 || count[tagOther] != 1 || count[tagMask] > 1 {
		return nil, fmt.Errorf("not one entry each for the owner, the owning group and others")
	}
	named := count[tagUser] + count[tagNamedGroup]
	if len(a) != 3+count[tagMask]+named {
		return nil, fmt.Errorf("an entry of an unknown kind")
	}
	if named > 0 && count[tagMask] == 0 {
		return nil, fmt.Errorf("no mask, but named users or groups")
	}
	return a, nil
}

// minimal reports whether permission bits can express the list.
func (a acl) minimal() bool { return len(a) == 3 }

// of returns the permissions of the one entry with a tag.
func (a acl) of(tag uint16) (perm uint16, ok bool) {
	i := slices.IndexFunc(a, func(e aclEntry) bool { return e.tag == tag })
	if i < 0 {
		return 0, false
	}
	return a[i].perm, true
}

// mode returns the permission bits of a file with the list, in which the mask, if any, takes the place of the group.
func (a acl) mode() uint16 {
	owner, _ := a.of(tagOwner)
	other, _ := a.of(tagOther)
	group, masked := a.of(tagMask)
	if !masked {
		group, _ = a.of(tagGroup)
	}
	return owner<<6 | group<<3 | other
}

// withoutACL returns the mode for a file that has the list and loses it: the group keeps the rights that it has with the list.
func (a acl) withoutACL(mode uint16) uint16 {
	group, _ := a.of(tagGroup)
	if mask, ok := a.of(tagMask); ok {
		group &= mask
	}
	return mode&^0o070 | group<<3
}
