package iso9660

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"imprint/internal/fault"
	"imprint/internal/span"
)

// descriptorFields are the fields of a primary or supplementary volume descriptor (ECMA-119, 8.4 and 8.5).
var descriptorFields = span.Row(
	span.Field{Len: 1, Name: "type"}, span.Field{Len: 5, Name: "standard identifier"}, span.Field{Len: 1, Name: "version"}, span.Field{Len: 1, Name: "flags"},
	span.Field{Len: 32, Name: "system identifier"}, span.Field{Len: 32, Name: "volume identifier"}, span.Field{Len: 8, Name: "unused"},
	span.Field{Len: 8, Name: "volume space size"}, span.Field{Len: 32, Name: "escape sequences"}, span.Field{Len: 4, Name: "volume set size"},
	span.Field{Len: 4, Name: "volume sequence number"}, span.Field{Len: 4, Name: "logical block size"}, span.Field{Len: 8, Name: "path table size"},
	span.Field{Len: 4, Name: "location of path table L"}, span.Field{Len: 4, Name: "location of optional path table L"},
	span.Field{Len: 4, Name: "location of path table M"}, span.Field{Len: 4, Name: "location of optional path table M"},
	span.Field{Len: 34, Name: "directory record of the root"}, span.Field{Len: 128, Name: "volume set identifier"},
	span.Field{Len: 128, Name: "publisher identifier"}, span.Field{Len: 128, Name: "data preparer identifier"},
	span.Field{Len: 128, Name: "application identifier"}, span.Field{Len: 37, Name: "copyright file identifier"},
	span.Field{Len: 37, Name: "abstract file identifier"}, span.Field{Len: 37, Name: "bibliographic file identifier"},
	span.Field{Len: 17, Name: "creation date"}, span.Field{Len: 17, Name: "modification date"}, span.Field{Len: 17, Name: "expiration date"},
	span.Field{Len: 17, Name: "effective date"}, span.Field{Len: 1, Name: "file structure version"}, span.Field{Len: 1, Name: "reserved byte"},
	span.Field{Len: 512, Name: "application use"}, span.Field{Len: 653, Name: "reserved"},
)

// field returns the bytes of a field of the descriptor, and its offset in the image.
func (t *auditTree) field(name string) (b []byte, at int64) {
	off := span.Offset(descriptorFields, name)
	f, _ := descriptorFields.At(off)
	return t.d[off:f.End()], t.at + off
}

// number returns a field of 32 bits that is recorded in both byte orders, or in one.
func (t *auditTree) number(name string) int64 {
	b, _ := t.field(name)
	if strings.HasSuffix(name, "M") {
		return int64(binary.BigEndian.Uint32(b))
	}
	return int64(binary.LittleEndian.Uint32(b))
}

// fields checks a descriptor.
func (a *audit) fields(t *auditTree) {
	for _, name := range []string{"volume space size", "volume set size", "volume sequence number", "logical block size", "path table size"} {
		b, at := t.field(name)
		if text := bothDiffer(b); text != "" {
			a.fault(at, "", t.name, name+" "+text)
		}
	}
	want := func(name string, found, expected any) {
		if _, at := t.field(name); found != expected {
			a.fault(at, "", t.name, fault.Mismatch(name, found, expected))
		}
	}
	size, _ := t.field("logical block size")
	want("logical block size", binary.LittleEndian.Uint16(size), uint16(block))
	set, _ := t.field("volume set size")
	want("volume set size", binary.LittleEndian.Uint16(set), uint16(1))
	sequence, _ := t.field("volume sequence number")
	want("volume sequence number", binary.LittleEndian.Uint16(sequence), uint16(1))
	if !t.joliet {
		want("file structure version", t.d[pvdVersion], byte(structureVersion))
	}
	empty := []string{"unused", "reserved byte", "reserved"}
	if t.d[0] == primary {
		empty = append(empty, "escape sequences", "flags")
	}
	for _, name := range empty {
		b, at := t.field(name)
		a.zeros(at, b, t.name)
	}
	for _, name := range []string{"creation date", "modification date", "expiration date", "effective date"} {
		a.longDate(t, name)
	}
}

// bothDiffer returns a text if a number of 16 or 32 bits differs in the two byte orders, else "".
func bothDiffer(b []byte) string {
	l, m := uint32(binary.LittleEndian.Uint16(b)), uint32(binary.BigEndian.Uint16(b[len(b)/2:]))
	if len(b) == 8 {
		l, m = binary.LittleEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	}
	if l == m {
		return ""
	}
	return fmt.Sprintf("is %d in one byte order and %d in the other", l, m)
}

// longDate checks a date. Digits '0' or zero bytes stand for no date.
func (a *audit) longDate(t *auditTree, name string) {
	b, at := t.field(name)
	if digits := strings.Trim(string(b[:dateDigits]), "0\x00 "); digits == "" {
		return
	}
	_, err := parseLongDate(b)
	for _, c := range b[:dateDigits] {
		if c < '0' || c > '9' {
			err = fmt.Errorf("%q is not a date", b[:dateDigits])
		}
	}
	if zone := int8(b[dateDigits]); zone < -48 || zone > 52 {
		err = fmt.Errorf("zone of %d quarters of an hour", zone)
	}
	if err != nil {
		a.fault(at, "", t.name, fmt.Sprintf("%s: %v", name, err))
	}
}

// space compares the size of the volume with the size of the image, and with the ends of the files.
func (a *audit) space(t *auditTree) {
	_, at := t.field("volume space size")
	end := t.number("volume space size") + t.shift
	if end*block > a.size {
		a.fault(at, "", t.name, fmt.Sprintf("volume space size is %d blocks, the image has %d bytes from block %d on", end-t.shift, a.size-t.shift*block, t.shift))
	}
	for _, s := range a.spans {
		if s.What.use == fileUse && a.dirs[a.files[s.What.id].dir].tree == t && s.End() > end*block {
			a.fault(at, a.filePath(s.What.id), t.name, fmt.Sprintf("volume space size is %d blocks, and the file ends at byte %d", end-t.shift, s.End()))
			return
		}
	}
}

// compareTrees compares the tree and the descriptor of a partition with those of the whole image.
func (a *audit) compareTrees() {
	for i, t := range a.trees {
		first := a.trees[0]
		if i == 0 || t.joliet || t.shift == first.shift {
			continue
		}
		for _, f := range descriptorFields {
			switch f.What {
			case "volume space size", "location of path table L", "location of path table M", "directory record of the root":
				continue
			}
			if one, two := first.d[f.Off:f.End()], t.d[f.Off:f.End()]; !bytes.Equal(one, two) {
				a.fault(t.at+f.Off, "", t.name, fmt.Sprintf("%s is %.60q, the first descriptor has %.60q", f.What, two, one))
			}
		}
		a.compareRecords(first, t)
	}
}

// compareRecords compares the records of two trees one by one.
func (a *audit) compareRecords(one, two *auditTree) {
	for i, r := range two.marks {
		if i >= len(one.marks) || one.marks[i].hash != r.hash {
			text := "differs from the record in the tree of the whole image"
			if i < len(one.marks) {
				text += fmt.Sprintf(" at byte %d", one.marks[i].at)
			}
			a.fault(r.at, a.path(r.dir), "directory record", text)
			if i >= len(one.marks) || a.path(one.marks[i].dir) != a.path(r.dir) {
				return // the rest is shifted
			}
		}
	}
	if n, m := len(one.marks), len(two.marks); m < n {
		a.fault(one.marks[m].at, a.path(one.marks[m].dir), "directory record", "the tree of the partition has fewer records")
	}
}
