package iso9660

import (
	"encoding/binary"
	"fmt"

	"imprint/internal/fault"
	"imprint/internal/span"
)

// bootRecordFields are the fields of a boot record (El Torito, figure 7), catalogFields those of the validation entry, a section header and
// a default or section entry (figures 2 to 5).
var (
	bootRecordFields = span.Row(span.Field{Len: 1, Name: "type"}, span.Field{Len: 5, Name: "standard identifier"}, span.Field{Len: 1, Name: "version"},
		span.Field{Len: 32, Name: "boot system identifier"}, span.Field{Len: 32, Name: "unused"}, span.Field{Len: 4, Name: "location of the boot catalog"},
		span.Field{Len: 1973, Name: "unused"})
	validationFields = span.Row(span.Field{Len: 1, Name: "header ID"}, span.Field{Len: 1, Name: "platform"}, span.Field{Len: 2, Name: "reserved"},
		span.Field{Len: 24, Name: "manufacturer"}, span.Field{Len: 2, Name: "checksum"}, span.Field{Len: 2, Name: "key"})
	headerFields = span.Row(span.Field{Len: 1, Name: "header indicator"}, span.Field{Len: 1, Name: "platform"}, span.Field{Len: 2, Name: "number of entries"},
		span.Field{Len: 28, Name: "identifier"})
	bootFields = span.Row(span.Field{Len: 1, Name: "boot indicator"}, span.Field{Len: 1, Name: "media type"}, span.Field{Len: 2, Name: "load segment"},
		span.Field{Len: 1, Name: "system type"}, span.Field{Len: 1, Name: "unused"}, span.Field{Len: 2, Name: "sector count"},
		span.Field{Len: 4, Name: "location"}, span.Field{Len: 20, Name: "selection criteria"})
)

// bootRecord checks the boot record, and takes the offset of the boot catalog from it.
func (a *audit) bootRecord(d []byte, at int64) {
	if string(d[recordSystemID:][:len(elTorito)]) != elTorito {
		a.fault(at+recordSystemID, "", "boot record", fmt.Sprintf("boot system identifier is %q, %q is expected", d[recordSystemID:][:len(elTorito)], elTorito))
		return
	}
	a.zeros(at+recordSystemID+int64(len(elTorito)), d[recordSystemID+len(elTorito):recordCatalog], "boot record")
	a.zeros(at+recordCatalog+4, d[recordCatalog+4:], "boot record")
	a.catalog = int64(binary.LittleEndian.Uint32(d[recordCatalog:])) * block
	if !a.use(a.catalog, block, claim{use: catalogUse}) {
		a.fault(at+recordCatalog, "", "boot record", fmt.Sprintf("location of the boot catalog is byte %d of an image of %d", a.catalog, a.size))
		a.catalog = 0
	}
}

// boot checks the boot catalog and the places of its boot images.
func (a *audit) boot() {
	if a.catalog == 0 {
		return
	}
	c := make([]byte, block)
	if err := a.read(c, a.catalog); err != nil {
		a.fault(a.catalog, "", "boot catalog", err.Error())
		return
	}
	wrong := func(off int, text string) { a.fault(a.catalog+int64(off), "", "boot catalog", text) }
	if c[0] != validation || c[30] != 0x55 || c[31] != 0xaa {
		wrong(0, fmt.Sprintf("the validation entry has the ID %d and the key %02x %02x, not 1 and 55 aa", c[0], c[30], c[31]))
	}
	if sum := catalogSum(c); sum != 0 {
		wrong(28, fmt.Sprintf("the words of the validation entry have the sum 0x%04x, not 0", sum))
	}
	a.zeros(a.catalog+2, c[2:4], "boot catalog")
	last := false
	left := 1
	for off := catalogEntry; off+catalogEntry <= block; off += catalogEntry {
		e := c[off : off+catalogEntry]
		switch {
		case e[0] == entryExtension:
		case left > 0:
			left--
			a.bootEntry(e, off, wrong)
		case !last && (e[0] == moreHeader || e[0] == lastHeader):
			left, last = int(binary.LittleEndian.Uint16(e[2:])), e[0] == lastHeader
			if left == 0 || left > block/catalogEntry {
				wrong(off+2, fmt.Sprintf("a section has %d entries", left))
			}
		default:
			a.zeros(a.catalog+int64(off), c[off:], "boot catalog")
			return
		}
	}
}

// bootEntry checks an entry for a boot image without emulation.
func (a *audit) bootEntry(e []byte, off int, wrong func(int, string)) {
	if e[0] != bootable && e[0] != 0 {
		wrong(off, fmt.Sprintf("boot indicator is 0x%02x, 0x88 or 0 is expected", e[0]))
	}
	if e[1]&0x0f > 4 || e[5] != 0 {
		wrong(off+1, fmt.Sprintf("media type is %d and the byte after the system type %d, 0 to 4 and 0 are expected", e[1], e[5]))
	}
	start, size := int64(binary.LittleEndian.Uint32(e[8:]))*block, int64(binary.LittleEndian.Uint16(e[6:]))*bootSector
	if start < systemArea*block || start > a.size-min(size, block) {
		wrong(off+8, fmt.Sprintf("a boot image lies at byte %d of an image of %d", start, a.size))
		return
	}
	a.zeros(a.catalog+int64(off)+12, e[12:], "boot catalog")
	a.boots = append(a.boots, BootImage{Offset: start, Load: size})
	if s, ok := a.spans.At(start); ok && s.What.use == fileUse && s.Off == start {
		a.infoTable(s)
	} else if ok {
		wrong(off+8, fmt.Sprintf("a boot image lies at byte %d, in %s", start, a.claimName(s.What)))
	}
}

// infoTable checks the boot info table of a boot image. Nothing says whether an image has one, so the bytes count as a table if two of its
// three numbers are right.
func (a *audit) infoTable(s span.Span[claim]) {
	var b [infoTableSize]byte
	f := a.files[s.What.id]
	if f.size < infoTable+infoTableSize || a.read(b[:], s.Off+infoTable) != nil {
		return
	}
	fields := []struct {
		name            string
		found, expected int64
	}{
		{"block of the volume descriptor", int64(binary.LittleEndian.Uint32(b[0:])), a.trees[0].at / block},
		{"block of the boot image", int64(binary.LittleEndian.Uint32(b[4:])), s.Off / block},
		{"length of the boot image", int64(binary.LittleEndian.Uint32(b[8:])), f.size},
	}
	right := 0
	for _, field := range fields {
		if field.found == field.expected {
			right++
		}
	}
	if right < 2 {
		return
	}
	path := a.filePath(s.What.id)
	for i, field := range fields {
		if field.found != field.expected {
			a.fault(s.Off+infoTable+4*int64(i), path, "boot info table", fault.Mismatch(field.name, field.found, field.expected))
		}
	}
	sum, err := a.infoSum(s.Off, f.size)
	if found := binary.LittleEndian.Uint32(b[12:]); err == nil && found != sum {
		a.fault(s.Off+infoChecksum, path, "boot info table", fault.Mismatch("checksum", fmt.Sprintf("0x%08x", found), fmt.Sprintf("0x%08x", sum)))
	}
	a.zeros(s.Off+infoTable+16, b[16:], "boot info table")
}

// infoSum returns the sum of the 32-bit words after the table, the last one padded with zeros.
func (a *audit) infoSum(at, size int64) (sum uint32, err error) {
	buf := make([]byte, 64<<10)
	for off := int64(infoSummed); off < size; off += int64(len(buf)) {
		p := buf[:min(int64(len(buf)), size-off)]
		if err := a.read(p, at+off); err != nil {
			return 0, err
		}
		clear(buf[len(p):])
		for i := 0; i < len(p); i += 4 {
			sum += binary.LittleEndian.Uint32(buf[i:])
		}
	}
	return sum, nil
}
