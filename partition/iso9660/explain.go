package iso9660

import (
	"fmt"

	"imprint/internal/span"
)

// Explain says what the byte at an offset of the image belongs to, such as "primary volume descriptor, volume space size", "directory /etc,
// record of "PASSWD.;1", date" or "file /etc/passwd, byte 5".
func (v *Volume) Explain(off int64) string {
	switch {
	case off < 0 || off >= v.size:
		return "after the image"
	case off < systemArea*block:
		return "system area"
	}
	a := v.all()
	s, ok := a.spans.At(off)
	if !ok {
		return a.explainGap(off)
	}
	p, at := s.What, off-s.Off
	switch p.use {
	case descriptorUse:
		return a.explainDescriptor(a.trees[p.id], at)
	case bootRecordUse:
		return "boot record, " + fieldOf(bootRecordFields, at)
	case catalogUse:
		return a.explainCatalog(at)
	case tableLUse, tableMUse:
		return fmt.Sprintf("%s, byte %d", a.claimName(p), at)
	case dirUse:
		return a.explainDir(p.id, s.Off, at)
	case areaUse:
		return a.explainUse(a.bytes(s.Off, s.Len), at, "continuation area of directory "+a.path(p.id))
	case fileUse:
		return fmt.Sprintf("file %s, byte %d", a.filePath(p.id), p.from+at)
	}
	return a.claimName(p)
}

func fieldOf(m span.Map[string], off int64) string {
	f, _ := m.At(off)
	return f.What
}

// explainGap explains a byte that belongs to no structure and no file.
func (a *audit) explainGap(off int64) string {
	i := a.spans.Before(off)
	if i >= 0 && a.spans[i].What.use == fileUse && off/block == (a.spans[i].End()-1)/block {
		return "file tail after " + a.filePath(a.spans[i].What.id)
	}
	for _, b := range a.bootImages() {
		if off >= b.Offset && off < b.Offset+max(b.Load, block) {
			return fmt.Sprintf("boot image at byte %d", b.Offset)
		}
	}
	return "unused"
}

// bootImages returns the boot images in the boot catalog.
func (a *audit) bootImages() []BootImage {
	b := a.bytes(a.catalog, block)
	if a.catalog == 0 {
		return nil
	}
	return parseCatalog(b[catalogEntry:], b[1])
}

// bytes returns bytes of the image, zeros if they cannot be read.
func (a *audit) bytes(at, n int64) []byte {
	b := make([]byte, n)
	if a.read(b, at) != nil {
		clear(b)
	}
	return b
}

func (a *audit) explainDescriptor(t *auditTree, at int64) string {
	field, _ := descriptorFields.At(at)
	if field.Len != pvdVolumeSetID-pvdRoot {
		return t.name + ", " + field.What
	}
	return t.name + ", " + field.What + ", " + recordField(at-field.Off)
}

// recordField names a byte of a directory record whose identifier is of one byte.
func recordField(at int64) string {
	if f, ok := recordFields.At(at); ok {
		return f.What
	}
	return "identifier"
}

// explainCatalog explains byte at of the boot catalog.
func (a *audit) explainCatalog(at int64) string {
	c := a.bytes(a.catalog, block)
	n, in := int(at/catalogEntry), at%catalogEntry
	left, last := 1, false
	for i := 1; i <= n; i++ {
		e := c[i*catalogEntry:]
		name, fields := "", span.Map[string](nil)
		switch {
		case e[0] == entryExtension:
			name = "extension of an entry"
		case left > 0:
			left--
			name, fields = "entry", bootFields
		case !last && (e[0] == moreHeader || e[0] == lastHeader):
			left, last = int(e[2])|int(e[3])<<8, e[0] == lastHeader
			name, fields = "section header", headerFields
		default:
			return "boot catalog, unused"
		}
		if i == n {
			return fmt.Sprintf("boot catalog, %s %d, %s", name, n, fieldOf(fields, in))
		}
	}
	return "boot catalog, validation entry, " + fieldOf(validationFields, in)
}

// explainDir explains byte at of a directory that begins at start.
func (a *audit) explainDir(id int32, start, at int64) string {
	b := a.bytes(start+at/block*block, block)
	in := at % block
	dir := "directory " + a.path(id)
	for off := int64(0); off < block && b[off] != 0; off += int64(b[off]) {
		n := int64(b[off])
		if in >= off+n {
			continue
		}
		if off+n > block || n < recordHeader+1 || recordHeader+int64(b[off+recordIDLength]) > n {
			return dir + ", a damaged record"
		}
		return a.explainRecord(dir, a.dirs[id].tree, b[off:off+n], in-off)
	}
	return dir + ", unused after the last record of a block"
}

// explainRecord explains byte at of the record p.
func (a *audit) explainRecord(dir string, t *auditTree, p []byte, at int64) string {
	idLen := int64(p[recordIDLength])
	id := p[recordHeader:][:idLen]
	name := fmt.Sprintf("%q", id)
	switch {
	case string(id) == string(selfID):
		name = "."
	case string(id) == string(parentID):
		name = ".."
	}
	head := int64(headSize(int(idLen)))
	of := fmt.Sprintf("%s, record of %s", dir, name)
	switch f, ok := recordFields.At(at); {
	case ok:
		return of + ", " + f.What
	case at < recordHeader+idLen:
		return of + ", identifier"
	case at < head:
		return of + ", padding"
	case t.skip < 0 || head+int64(t.skip) > int64(len(p)):
		return of + ", system use"
	}
	return a.explainUse(p[head+int64(t.skip):], at-head-int64(t.skip), of)
}

// explainUse explains byte at of the system use entries p.
func (a *audit) explainUse(p []byte, at int64, of string) string {
	for len(p) >= entryHeader && p[0] != 0 && int(p[2]) >= entryHeader && int(p[2]) <= len(p) {
		n := int64(p[2])
		if at < n {
			part := fmt.Sprintf("byte %d", at)
			if at < entryHeader {
				part = [...]string{"signature", "signature", "length", "version"}[max(at, 0)]
			}
			return fmt.Sprintf("%s, %s, %s", of, p[:2], part)
		}
		p, at = p[n:], at-n
	}
	return of + ", padding"
}
