package erofs

import (
	"fmt"

	"imprint/internal/span"
	"imprint/internal/tree"
)

// Explain says what the byte at an offset of the region belongs to, such as "superblock, build_time", "inode 36 (/etc/passwd), i_size",
// "directory /etc, nid of passwd" or "file /etc/passwd, byte 5".
func (v *Volume) Explain(off int64) string {
	if off < 0 || off >= v.Size {
		return "after the file system"
	}
	a := v.all()
	s, ok := a.spans.At(off)
	if !ok {
		return a.explainGap(off)
	}
	p, at := s.What, off-s.Off
	switch p.use {
	case superUse:
		return "superblock, " + fieldOf(superFields, at)
	case inodeUse:
		return fmt.Sprintf("%v (%s), %s", p.of, a.path(p.of), fieldOf(p.of.fields(), at))
	case xattrUse:
		return a.explainXattrs(p.of, s, at)
	case sharedUse:
		return "shared " + explainXattr(a.read(s.Off, s.Len), at)
	}
	return a.explainContent(p.of, p.from+at)
}

func fieldOf(m span.Map[string], off int64) string {
	f, _ := m.At(off)
	return f.What
}

// explainGap explains a byte that belongs to no structure and no content.
func (a *audit) explainGap(off int64) string {
	if i := a.spans.Before(off); i >= 0 && off/blockSize == (a.spans[i].End()-1)/blockSize && a.spans[i].What.use == blockUse {
		return a.tailOf(a.spans[i].What.of)
	}
	return "unused"
}

func (a *audit) tailOf(n *audited) string {
	if n.kind == tree.File {
		return "file tail after " + a.path(n)
	}
	return "unused, after " + n.kind.String() + " " + a.path(n)
}

// read returns n bytes of the image, zeros if they cannot be read.
func (a *audit) read(at, n int64) []byte {
	b := make([]byte, n)
	if readFull(a.image, b, at) != nil {
		clear(b)
	}
	return b
}

// explainContent explains byte at of a content.
func (a *audit) explainContent(n *audited, at int64) string {
	switch {
	case at >= n.content.size:
		return a.tailOf(n)
	case n.kind == tree.Dir:
		return a.explainDir(n, at)
	}
	return fmt.Sprintf("%v %s, byte %d", n.kind, a.path(n), at)
}

// direntFields are the fields of a directory entry (struct erofs_dirent).
var direntFields = span.Row(span.Field{Len: 8, Name: "nid"}, span.Field{Len: 2, Name: "nameoff"}, span.Field{Len: 1, Name: "file_type"},
	span.Field{Len: 1, Name: "reserved"})

// explainDir explains byte at of a directory. Entries and names lie apart in a block, so it looks for an entry or a name that has the byte.
func (a *audit) explainDir(n *audited, at int64) string {
	first := at / blockSize * blockSize
	b := a.read(n.content.place(first), min(blockSize, n.content.size-first))
	dir, in := "directory "+a.path(n), int(at-first)
	what := ""
	_ = eachDirent(b, func(e dirent) error {
		switch {
		case in >= e.at && in < e.at+direntSize:
			what = fmt.Sprintf("%s, %s of %s", dir, fieldOf(direntFields, int64(in-e.at)), e.name)
		case in >= e.from && in < e.from+len(e.name):
			what = fmt.Sprintf("%s, name of %s", dir, e.name)
		case in >= e.from && in < e.to:
			what = dir + ", unused after a name"
		}
		return nil
	})
	if what == "" {
		return fmt.Sprintf("%s, byte %d", dir, at)
	}
	return what
}

// explainXattrs explains byte at of the attributes after an inode.
func (a *audit) explainXattrs(n *audited, s span.Span[piece], at int64) string {
	of := fmt.Sprintf("%v (%s), ", n, a.path(n))
	b := a.read(s.Off, s.Len)
	entries := int64(xattrHeader) + 4*int64(b[4])
	switch {
	case at < xattrHeader:
		return of + fieldOf(xattrFields, at)
	case at < entries:
		return of + fmt.Sprintf("ID %d of a shared extended attribute", (at-xattrHeader)/4)
	}
	for off := entries; off < s.Len; {
		_, size, err := parseXattr(b[off:])
		if err != nil {
			break
		}
		if at < off+int64(size) {
			return of + explainXattr(b[off:], at-off)
		}
		off += int64(size)
	}
	return of + "extended attributes"
}

// explainXattr explains byte at of an attribute's entry (struct erofs_xattr_entry).
func explainXattr(b []byte, at int64) string {
	x, _, err := parseXattr(b)
	if err != nil {
		return "extended attribute"
	}
	name := int64(xattrEntry) + int64(b[0])
	field := "unused"
	switch {
	case at < xattrEntry:
		field = fieldOf(span.Row(span.Field{Len: 1, Name: "e_name_len"}, span.Field{Len: 1, Name: "e_name_index"}, span.Field{Len: 2, Name: "e_value_size"}), at)
	case at < name:
		field = "name"
	case at < name+int64(len(x.Value)):
		field = fmt.Sprintf("byte %d", at-name)
	}
	return fmt.Sprintf("extended attribute %s, %s", x.Name, field)
}
