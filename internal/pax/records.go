package pax

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"imprint/internal/posixacl"
	"imprint/internal/tree"
)

// Records besides those of POSIX, which star has introduced and GNU tar and libarchive read.
const (
	xattrRecord   = "SCHILY.xattr." // the name follows
	aclRecord     = "SCHILY.acl.access"
	defaultRecord = "SCHILY.acl.default"
)

// aclRecords maps extended attributes to the records with the same list as text. GNU tar sets lists from text only.
var aclRecords = map[string]string{"system.posix_acl_access": aclRecord, "system.posix_acl_default": defaultRecord}

// records returns the records of an entry, sorted: what its header cannot hold. It is empty for most.
func (e *entry) records() []byte {
	var list []string
	add := func(key, value string) { list = append(list, record(key, value)) }
	if _, _, ok := split(e.stored.name(e.name)); !ok {
		add("path", e.stored.name(e.name))
	}
	if link := e.linkTarget(); len(link) > linkField.len {
		add("linkpath", link)
	}
	if !fits(sizeField, e.stored.size) {
		add("size", strconv.FormatInt(e.stored.size, 10))
	}
	e.attributes(add)
	if e.stored.sparse {
		add("GNU.sparse.major", "1")
		add("GNU.sparse.minor", "0")
		add("GNU.sparse.name", e.name)
		add("GNU.sparse.realsize", strconv.FormatInt(e.inode.Size(), 10))
	}
	slices.SortFunc(list, func(a, b string) int { return strings.Compare(key(a), key(b)) })
	return []byte(strings.Join(list, ""))
}

// attributes adds records for the attributes of a node. Those of a further name are those of the first one.
func (e *entry) attributes(add func(key, value string)) {
	a := e.inode.Attr
	for _, id := range []struct {
		field field
		key   string
		n     uint32
	}{{uidField, "uid", a.UID}, {gidField, "gid", a.GID}} {
		if !fits(id.field, int64(id.n)) {
			add(id.key, strconv.FormatUint(uint64(id.n), 10))
		}
	}
	if a.Mtime.Nsec != 0 || !fits(mtimeField, a.Mtime.Sec) {
		add("mtime", seconds(a.Mtime))
	}
	if e.link != "" {
		return
	}
	for _, x := range a.Xattrs {
		if key := aclRecords[x.Name]; key != "" {
			if list, err := posixacl.Decode(x.Value); err == nil {
				add(key, list.Text())
			}
		}
		add(xattrRecord+keyword.Replace(x.Name), string(x.Value))
	}
}

// keyword encodes what a key cannot hold, as GNU tar does.
var keyword = strings.NewReplacer("%", "%25", "=", "%3D")

// linkTarget returns what the entry leads to, "" if it is no link.
func (e *entry) linkTarget() string {
	if e.link != "" {
		return e.link
	}
	return e.inode.Target()
}

// record returns "LENGTH KEY=VALUE\n", of which LENGTH counts all bytes.
func record(key, value string) string {
	rest := len(key) + len(value) + len(" =\n")
	size := rest + len(strconv.Itoa(rest))
	if len(strconv.Itoa(size)) > len(strconv.Itoa(rest)) {
		size = rest + len(strconv.Itoa(size))
	}
	return fmt.Sprintf("%d %s=%s\n", size, key, value)
}

// key returns the key of a record.
func key(record string) string {
	_, rest, _ := strings.Cut(record, " ")
	key, _, _ := strings.Cut(rest, "=")
	return key
}

// seconds returns a time as a decimal fraction.
func seconds(t tree.Time) string {
	sign, sec, nsec := "", t.Sec, int64(t.Nsec)
	if sec < 0 {
		sign, sec = "-", -sec
		if nsec > 0 {
			sec, nsec = sec-1, 1e9-nsec
		}
	}
	text := sign + strconv.FormatUint(uint64(sec), 10)
	if nsec != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%09d", nsec), "0")
	}
	return text
}
