package iso9660

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A pathRecord is a record of a path table (ECMA-119, 9.4).
type pathRecord struct {
	at     int64 // offset in the table
	id     string
	start  int64 // block
	parent int   // number in the table
}

// pathTables compares both path tables with one another and with the directories. Optional copies are compared too.
func (a *audit) pathTables(t *auditTree) {
	size := t.number("path table size")
	l, lAt := a.pathTable(t, "location of path table L", size)
	m, mAt := a.pathTable(t, "location of path table M", size)
	for _, optional := range []struct {
		name  string
		first []byte
	}{{"location of optional path table L", l}, {"location of optional path table M", m}} {
		if t.number(optional.name) != 0 {
			if b, at := a.pathTable(t, optional.name, size); b != nil && !bytes.Equal(b, optional.first) {
				a.fault(at, "", t.name, "optional path table differs from the other one")
			}
		}
	}
	if l == nil || m == nil {
		return
	}
	one, two := a.parseTable(l, lAt, "L", binary.LittleEndian), a.parseTable(m, mAt, "M", binary.BigEndian)
	a.compareTables(one, two, mAt)
	a.againstDirs(t, one, lAt, "L")
	a.againstDirs(t, two, mAt, "M")
}

// claimTables records the places of the path tables.
func (a *audit) claimTables(t *auditTree) {
	size := t.number("path table size")
	for name, use := range map[string]use{
		"location of path table L": tableLUse, "location of optional path table L": tableLUse,
		"location of path table M": tableMUse, "location of optional path table M": tableMUse,
	} {
		if n := t.number(name); n != 0 && (n+t.shift)*block <= a.size-size {
			a.spans.Add((n+t.shift)*block, size, claim{use: use})
		}
	}
}

// pathTable returns the table that a field of the descriptor names, and its offset in the image.
func (a *audit) pathTable(t *auditTree, name string, size int64) ([]byte, int64) {
	at := (t.number(name) + t.shift) * block
	if at > a.size-size || a.spend(size) != nil {
		_, field := t.field(name)
		a.fault(field, "", t.name, fmt.Sprintf("%s: %d bytes at %d of an image of %d", name, size, at, a.size))
		return nil, at
	}
	b := make([]byte, size)
	if err := a.read(b, at); err != nil {
		a.fault(at, "", t.name, err.Error())
		return nil, at
	}
	return b, at
}

// parseTable reads the records of a table.
func (a *audit) parseTable(b []byte, at int64, name string, order binary.ByteOrder) (list []pathRecord) {
	for off := 0; off < len(b); {
		n := 0
		if len(b)-off >= pathHeader {
			n = pathHeader + even(int(b[off]))
		}
		if n <= pathHeader || n > len(b)-off {
			a.fault(at+int64(off), "", "path table "+name, fmt.Sprintf("record %d of %d bytes where %d are left", len(list)+1, n, len(b)-off))
			return list
		}
		p := b[off : off+n]
		r := pathRecord{int64(off), string(p[pathHeader:][:p[0]]), int64(order.Uint32(p[2:])) + int64(p[1]), int(order.Uint16(p[6:]))}
		if p[1] != 0 {
			a.fault(at+int64(off)+1, "", "path table "+name, fmt.Sprintf("record %d has %d blocks of extended attributes", len(list)+1, p[1]))
		}
		if p[0]%2 != 0 && p[n-1] != 0 {
			a.fault(at+int64(off+n)-1, "", "path table "+name, fmt.Sprintf("record %d is not followed by a zero", len(list)+1))
		}
		list = append(list, r)
		off += n
	}
	return list
}

func (a *audit) compareTables(l, m []pathRecord, at int64) {
	for i := range min(len(l), len(m)) {
		if l[i] != m[i] {
			a.fault(at+m[i].at, "", "path table M", fmt.Sprintf("record %d is %q at block %d in directory %d, in table L %q at block %d in directory %d",
				i+1, m[i].id, m[i].start, m[i].parent, l[i].id, l[i].start, l[i].parent))
		}
	}
}

// againstDirs compares a table with the directories of the tree. A table may end early, where the number of a parent does not fit into 16
// bits.
func (a *audit) againstDirs(t *auditTree, list []pathRecord, at int64, name string) {
	for i, r := range list {
		wrong := func(text string) { a.fault(at+r.at, "", "path table "+name, fmt.Sprintf("record %d: %s", i+1, text)) }
		id, ok := t.byAt[r.start+t.shift]
		if !ok {
			wrong(fmt.Sprintf("no directory begins at block %d", r.start))
			continue
		}
		d := a.dirs[id]
		if r.id != d.id {
			wrong(fmt.Sprintf("identifier is %q, the directory has %q", r.id, d.id))
		}
		if r.parent < 1 || r.parent > i+1 || list[r.parent-1].start+t.shift != a.dirs[d.parent].start {
			wrong(fmt.Sprintf("directory above is number %d, which is not %s", r.parent, a.path(d.parent)))
		}
	}
	if n := len(t.byAt); len(list) > n || len(list) < min(n, maxParent) {
		a.fault(at, "", "path table "+name, fmt.Sprintf("it has %d records, and there are %d directories", len(list), n))
	}
}
