package iso9660

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"imprint/internal/fault"
	"imprint/internal/span"
	"imprint/internal/units"
)

// recordFields are the fields of a directory record before its identifier (ECMA-119, 9.1).
var recordFields = span.Row(
	span.Field{Len: 1, Name: "length"}, span.Field{Len: 1, Name: "extended attribute length"}, span.Field{Len: 8, Name: "extent"},
	span.Field{Len: 8, Name: "data length"}, span.Field{Len: 7, Name: "date"}, span.Field{Len: 1, Name: "flags"}, span.Field{Len: 1, Name: "file unit size"},
	span.Field{Len: 1, Name: "interleave gap size"}, span.Field{Len: 4, Name: "volume sequence number"}, span.Field{Len: 1, Name: "identifier length"},
)

// bothFields are the fields of a record in both byte orders.
var bothFields = []struct {
	name    string
	at, end int
}{{"extent", recordStart, recordSize}, {"data length", recordSize, recordDate}, {"volume sequence number", recordVolume, recordIDLength}}

// checkRecord checks the fields that reading ignores. It calls wrong with the offset in the record of each fault.
func checkRecord(b []byte, wrong func(off int, text string)) {
	for _, f := range bothFields {
		if text := bothDiffer(b[f.at:f.end]); text != "" {
			wrong(f.at, f.name+" "+text)
		}
	}
	if n := binary.LittleEndian.Uint16(b[recordVolume:]); n != 1 {
		wrong(recordVolume, fault.Mismatch("volume sequence number", n, 1))
	}
	if flags := b[recordFlags]; flags&0x60 != 0 || b[recordExtended] != 0 {
		wrong(recordFlags, fmt.Sprintf("flags 0x%02x and %d blocks of extended attributes are not expected", flags, b[recordExtended]))
	}
	if !validDate(b[recordDate:]) {
		wrong(recordDate, fmt.Sprintf("% x is not a date", b[recordDate:][:shortDateSize]))
	}
	if n := int(b[recordIDLength]); n%2 == 0 && recordHeader+n < len(b) && b[recordHeader+n] != 0 {
		wrong(recordHeader+n, "the byte after the identifier is not 0")
	}
}

// validDate reports whether seven bytes are a date, or zeros, which stand for none.
func validDate(b []byte) bool {
	zone := int8(b[6])
	none := len(bytes.Trim(b[:6], "\x00")) == 0
	return none || b[1] >= 1 && b[1] <= 12 && b[2] >= 1 && b[2] <= 31 && b[3] < 24 && b[4] < 60 && b[5] < 60 && zone >= -48 && zone <= 52
}

// child checks the record of a file or a directory.
func (d *dirAudit) child(r record, use *useAudit) {
	t := d.dirs[d.id].tree
	name := use.rr.name
	switch {
	case t.joliet:
		name = jolietName(r.id)
	case name == "":
		name = plainName(r.id)
	}
	if use.rr.posix {
		isDir, mode := r.flags&isDirectory != 0, use.rr.mode&typeMask
		if isDir != (mode == typeDir) && use.rr.child == 0 {
			d.wrong(d.at, fmt.Sprintf("%q: flags 0x%02x do not go with mode 0%o", name, r.flags, use.rr.mode))
		}
		if mode == typeSymlink {
			if _, err := use.rr.link.target(); err != nil {
				d.wrong(d.at, fmt.Sprintf("%q: %v", name, err))
			}
		}
	}
	if r.flags&isDirectory != 0 {
		d.dirs[d.id].subdirs++
		d.addDir(auditDir{tree: t, parent: d.id, name: name, id: string(r.id), at: d.at, start: r.start, size: r.size, px: use.px})
		return
	}
	if use.rr.child != 0 {
		d.dirs[d.id].subdirs++ // as Rock Ridge has it
	}
	d.sections = append(d.sections, r)
	if r.flags&hasMore == 0 {
		d.file(name, use)
	}
}

// jolietName is a name in UCS-2, without a version.
func jolietName(id []byte) string {
	var text []uint16
	for ; len(id) >= 2; id = id[2:] {
		text = append(text, binary.BigEndian.Uint16(id))
	}
	name, _, _ := strings.Cut(string(utf16.Decode(text)), version[:1])
	return name
}

// file records a file with all of its sections.
func (d *dirAudit) file(name string, use *useAudit) {
	size := int64(0)
	for _, s := range d.sections {
		size += s.size
	}
	id := int32(len(d.files))
	d.files = append(d.files, auditFile{d.id, name, size})
	from := int64(0)
	for i, s := range d.sections {
		if s.size > 0 && (s.start*block > d.audit.size-s.size) {
			d.wrong(d.at, fmt.Sprintf("%q: %d bytes at block %d of an image of %d bytes", name, s.size, s.start, d.audit.size))
		} else {
			d.extent(s.start*block, s.size, claim{fileUse, id, from})
		}
		if from += s.size; i+1 < len(d.sections) && s.size%block != 0 {
			d.wrong(d.at, fmt.Sprintf("%q: a section of %d bytes is followed by another", name, s.size))
		}
	}
	if use.rr.serial != 0 && d.dirs[d.id].tree == d.trees[0] {
		f := d.families[use.rr.serial]
		if f == nil {
			f = &family{links: use.rr.links, at: d.at, file: id}
			d.families[use.rr.serial] = f
		}
		if f.names++; f.links != use.rr.links {
			d.wrong(d.at, fmt.Sprintf("%q: PX has %d links, another name of the file %d", name, use.rr.links, f.links))
		}
	}
	d.sections = d.sections[:0]
}

// extent records the place of a content. Files may share one; they count as one piece, as long as the longest of them.
func (a *audit) extent(at, size int64, p claim) {
	if size == 0 {
		return
	}
	if i, shared := a.starts[at]; shared {
		if units.Blocks(size, block) > units.Blocks(a.spans[i].Len, block) {
			a.spans[i].Len, a.spans[i].What = size, p
		}
		return
	}
	a.starts[at] = len(a.spans)
	a.spans.Add(at, size, p)
}
