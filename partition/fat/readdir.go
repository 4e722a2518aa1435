package fat

import (
	"encoding/binary"
	"fmt"
)

// An item is a directory entry in use, with its name from the long entries before it or from itself.
type item struct {
	dirEntry
	name        string
	first, slot int // indexes in the directory of the first long entry and of the entry itself
}

// isLong reports whether an entry with these attributes is a part of a long name ("FAT Long Directory Entries").
func isLong(attr uint8) bool { return attr&attrMask == attrLong }

// Attributes that only a reader needs.
const (
	attrReadOnly = 0x01
	attrMask     = 0x3f // the others are reserved
)

func (e *dirEntry) cluster(bits int) uint32 {
	if bits == 32 {
		return uint32(e.FstClusHI)<<16 | uint32(e.FstClusLO)
	}
	return uint32(e.FstClusLO) // the other half has had many uses
}

// An assembler reads the entries of a directory, and assembles long names from their parts. It calls fault, with the index of an entry, for
// a long name that is damaged, and then uses the short name.
type assembler struct {
	fault func(slot int, text string)
	items []item
	parts []longEntry // of the name that is being read
	first int         // index of the first one
}

// parseDir returns the entries in use in the bytes of a directory.
func parseDir(b []byte, fault func(slot int, text string)) []item {
	a := assembler{fault: fault}
	i := 0
	for ; (i+1)*slotSize <= len(b) && b[i*slotSize] != endOfDir; i++ {
		a.slot(b[i*slotSize:][:slotSize], i)
	}
	a.drop("no entry follows it")
	return a.items
}

// slot takes entry i, the bytes b, after the parts of a long name that came before it.
func (a *assembler) slot(b []byte, i int) {
	switch {
	case b[0] == deleted:
		a.drop("a deleted entry follows it")
	case isLong(b[11]):
		var e longEntry
		decode(b, &e)
		a.long(e, i)
	default:
		var e dirEntry
		decode(b, &e)
		a.short(e, i)
	}
}

// decode decodes a structure from the front of b.
func decode(b []byte, structure any) {
	if _, err := binary.Decode(b, binary.LittleEndian, structure); err != nil {
		panic(err) // only too few bytes, or a struct without a fixed size, fail
	}
}

// drop discards a long name that is not complete.
func (a *assembler) drop(why string) {
	if len(a.parts) > 0 {
		a.fault(a.first, fmt.Sprintf("long name without its entry: %s", why))
	}
	a.parts = nil
}

// long adds a part of a name. The last part comes first, and has a mark.
func (a *assembler) long(e longEntry, i int) {
	ord := e.Ord &^ lastLong
	switch last := len(a.parts) - 1; {
	case e.Ord&lastLong != 0:
		a.drop("another long name follows it")
		a.first = i
		if ord == 0 || ord > maxParts {
			a.fault(i, fmt.Sprintf("Ord is 0x%02x, a name has 1 to %d parts", e.Ord, maxParts))
			return
		}
	case last < 0:
		a.fault(i, fmt.Sprintf("part %d of a long name without the one before", ord))
		return
	case a.parts[last].Ord&^lastLong != ord+1 || a.parts[last].Chksum != e.Chksum:
		a.drop(fmt.Sprintf("part %d with the checksum 0x%02x follows part %d with 0x%02x", ord, e.Chksum,
			a.parts[last].Ord&^lastLong, a.parts[last].Chksum))
		return
	}
	a.parts = append(a.parts, e)
	if e.Type != 0 || e.FstClusLO != 0 || e.Attr != attrLong {
		a.fault(i, fmt.Sprintf("Attr, Type and FstClusLO of a long name are 0x%02x, %d and %d, not 0x0f, 0 and 0", e.Attr, e.Type, e.FstClusLO))
	}
}

// maxParts is the number of parts of a name of 255 UTF-16 units.
const maxParts = (maxUnits + longUnits - 1) / longUnits

// short takes the entry with the short name, which ends a long one.
func (a *assembler) short(e dirEntry, i int) {
	it := item{dirEntry: e, name: e.shortName(), first: i, slot: i}
	if last := len(a.parts) - 1; last >= 0 && a.parts[last].Ord&^lastLong != 1 {
		a.drop(fmt.Sprintf("its parts end with part %d", a.parts[last].Ord&^lastLong))
	}
	if len(a.parts) > 0 {
		a.named(&it)
	}
	a.parts = nil
	a.items = append(a.items, it)
}

// named sets the name of an entry to the long one, if its checksum is that of the short one. Systems that do not know long names leave the
// parts of a deleted file in place, before another entry.
func (a *assembler) named(it *item) {
	if sum := it.Name.checksum(); sum != a.parts[0].Chksum {
		a.fault(a.first, fmt.Sprintf("Chksum of a long name is 0x%02x, the short name %q has 0x%02x", a.parts[0].Chksum, it.Name[:], sum))
		return
	}
	name, ok, err := longName(a.parts)
	if err != nil {
		a.fault(a.first, err.Error())
	}
	if it.first = a.first; ok {
		it.name = name
	}
}
