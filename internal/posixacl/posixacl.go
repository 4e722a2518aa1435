// Package posixacl reads and writes the forms of POSIX access control lists (acl(5)): text, and the value of an extended attribute.
package posixacl

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A List is a POSIX access control list (acl(5)), sorted by tag and ID.
type List []Entry

// An Entry grants permissions to one class of users, or to a named user or group.
type Entry struct {
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

// version begins the form of a list in system calls.
const version = 2

// noID is the ID of entries that name nobody.
const noID = 1<<32 - 1

// Max is the largest list in entries: the value of an extended attribute has at most 64 KiB (XATTR_SIZE_MAX).
const Max = (64<<10 - 4) / 8

// Parse reads the long text form (acl(5)), with newlines or commas between entries. Named users and groups must have numbers, in place of
// the names or after the permissions, as star and libarchive add them: the meaning of a name depends on the host.
func Parse(text string) (List, error) {
	var list List
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == ',' }) {
		line, _, _ = strings.Cut(line, "#") // a comment, such as the effective permissions
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		e, err := parseEntry(strings.Split(strings.TrimPrefix(line, "default:"), ":"))
		if err != nil {
			return nil, fmt.Errorf("%v in the entry %.80q", err, line)
		}
		if list = append(list, e); len(list) > Max {
			return nil, fmt.Errorf("more than %d entries", Max)
		}
	}
	return list.checked()
}

// parseEntry reads an entry of the fields tag, name, permissions and perhaps ID. Solaris omits an empty name.
func parseEntry(fields []string) (e Entry, err error) {
	tags := map[string]uint16{
		"user": tagOwner, "u": tagOwner, "group": tagGroup, "g": tagGroup, "mask": tagMask, "m": tagMask, "other": tagOther, "o": tagOther,
	}
	e = Entry{tag: tags[fields[0]], id: noID}
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
	e.id, err = parseName(fields[1], fields[3:])
	return e, err
}

// parseName returns the ID of a named user or group; the field after the permissions takes precedence.
func parseName(name string, after []string) (uint32, error) {
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

// Decode reads the form of system calls: a version in 4 bytes, then tag and permissions in 2 bytes each and the ID in 4 for each entry,
// all little-endian (linux/posix_acl_xattr.h).
func Decode(value []byte) (List, error) {
	if len(value)%8 != 4 || binary.LittleEndian.Uint32(value) != version {
		return nil, fmt.Errorf("access control list of %d bytes is not one of version %d", len(value), version)
	}
	var list List
	for b := value[4:]; len(b) > 0; b = b[8:] {
		e := Entry{binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint32(b[4:])}
		if e.tag != tagUser && e.tag != tagNamedGroup {
			e.id = noID
		}
		list = append(list, e)
	}
	return list.checked()
}

// Encode is the inverse of Decode.
func (l List) Encode() []byte {
	b := binary.LittleEndian.AppendUint32(nil, version)
	for _, e := range l {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.perm)
		b = binary.LittleEndian.AppendUint32(b, e.id)
	}
	return b
}

// checked sorts the list, and refuses one that the kernel would not take (posix_acl_valid): it must have one entry each for the owner, the group
// and others, at most one for each ID, and a mask if it has any of those.
func (l List) checked() (List, error) {
	slices.SortFunc(l, func(a, b Entry) int { return cmp.Or(cmp.Compare(a.tag, b.tag), cmp.Compare(a.id, b.id)) })
	count := map[uint16]int{}
	for i, e := range l {
		if named := e.tag == tagUser || e.tag == tagNamedGroup; e.perm > 7 || named == (e.id == noID) {
			return nil, fmt.Errorf("an entry with tag %#x, permissions %#o and ID %d", e.tag, e.perm, e.id)
		}
		if i > 0 && l[i-1].tag == e.tag && l[i-1].id == e.id {
			return nil, fmt.Errorf("two entries for the same")
		}
		count[e.tag]++
	}
	if count[tagOwner] != 1 || count[tagGroup] != 1 || count[tagOther] != 1 || count[tagMask] > 1 {
		return nil, fmt.Errorf("not one entry each for the owner, the owning group and others")
	}
	named := count[tagUser] + count[tagNamedGroup]
	if len(l) != 3+count[tagMask]+named {
		return nil, fmt.Errorf("an entry of an unknown kind")
	}
	if named > 0 && count[tagMask] == 0 {
		return nil, fmt.Errorf("no mask, but named users or groups")
	}
	return l, nil
}

// Minimal reports whether permission bits can express the list.
func (l List) Minimal() bool { return len(l) == 3 }

// of returns the permissions of the one entry with a tag.
func (l List) of(tag uint16) (perm uint16, ok bool) {
	i := slices.IndexFunc(l, func(e Entry) bool { return e.tag == tag })
	if i < 0 {
		return 0, false
	}
	return l[i].perm, true
}

// Mode returns the permission bits of a file with the list, in which the mask, if any, takes the place of the group.
func (l List) Mode() uint16 {
	owner, _ := l.of(tagOwner)
	other, _ := l.of(tagOther)
	group, masked := l.of(tagMask)
	if !masked {
		group, _ = l.of(tagGroup)
	}
	return owner<<6 | group<<3 | other
}

// Without returns the mode for a file that has the list and loses it: the group keeps the rights that it has with the list.
func (l List) Without(mode uint16) uint16 {
	group, _ := l.of(tagGroup)
	if mask, ok := l.of(tagMask); ok {
		group &= mask
	}
	return mode&^0o070 | group<<3
}

// Text returns the long text form, with commas between entries and numbers in place of names. star, GNU tar and libarchive read it.
func (l List) Text() string {
	names := map[uint16]string{
		tagOwner: "user", tagUser: "user", tagGroup: "group", tagNamedGroup: "group", tagMask: "mask", tagOther: "other",
	}
	var entries []string
	for _, e := range l {
		name := ""
		if e.id != noID {
			name = strconv.FormatUint(uint64(e.id), 10)
		}
		entries = append(entries, names[e.tag]+":"+name+":"+permText(e.perm))
	}
	return strings.Join(entries, ",")
}

// permText is the inverse of parsePerm.
func permText(perm uint16) string {
	text := []byte("rwx")
	for i := range text {
		if perm>>(2-i)&1 == 0 {
			text[i] = '-'
		}
	}
	return string(text)
}
