package gpt

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"unicode/utf16"

	"imprint/internal/fault"
	"imprint/internal/repro"
	"imprint/internal/span"
	"imprint/internal/units"
)

// compare reports where the backup differs from the first copy.
func (in *inspection) compare(front, back *tableCopy) {
	for _, f := range []struct {
		name     string
		one, two any
	}{
		{"FirstUsableLBA", front.FirstUsableLBA, back.FirstUsableLBA}, {"LastUsableLBA", front.LastUsableLBA, back.LastUsableLBA},
		{"DiskGUID", front.DiskGUID.uuid(), back.DiskGUID.uuid()},
		{"NumberOfPartitionEntries", front.NumberOfPartitionEntries, back.NumberOfPartitionEntries},
		{"SizeOfPartitionEntry", front.SizeOfPartitionEntry, back.SizeOfPartitionEntry},
		{"AlternateLBA", front.AlternateLBA, back.MyLBA}, {"HeaderSize", front.HeaderSize, back.HeaderSize},
	} {
		if f.one != f.two {
			in.fault(back.field(f.name, in), back.header(), fmt.Sprintf("%s is %v, but the primary header has %v", f.name, f.two, f.one))
		}
	}
	size := int(front.SizeOfPartitionEntry)
	if len(front.array) != len(back.array) || front.SizeOfPartitionEntry != back.SizeOfPartitionEntry {
		return
	}
	for i := range front.entries {
		one, two := front.array[i*size:][:size], back.array[i*size:][:size]
		for _, f := range entryFields {
			if !bytes.Equal(one[f.Off:f.End()], two[f.Off:f.End()]) {
				in.fault(in.entryAt(back, i)+f.Off, fmt.Sprintf("backup entry %d", i+1),
					fmt.Sprintf("%s is %x, but the primary entry has %x", f.What, two[f.Off:f.End()], one[f.Off:f.End()]))
			}
		}
	}
}

// entryAt returns the offset of an entry on the disk.
func (in *inspection) entryAt(c *tableCopy, i int) int64 {
	return int64(c.PartitionEntryLBA)*in.sector + int64(i)*int64(c.SizeOfPartitionEntry)
}

// table returns a copy as a Table, and checks its entries. Invalid entries are in it too: its Check reports them.
func (in *inspection) table(c *tableCopy) Table {
	t := Table{DiskGUID: c.DiskGUID.uuid(), SectorSize: in.sector, Sectors: in.count}
	if at := c.PartitionEntryLBA; c.lba == 1 && at != afterHeader {
		t.EntriesAt = int64(at)
	}
	if t.DiskGUID == (repro.UUID{}) {
		in.fault(c.field("DiskGUID", in), c.header(), "DiskGUID is zero")
	}
	owner := map[repro.UUID]int{}
	for i, e := range c.entries {
		if e == (rawEntry{}) {
			continue
		}
		wrong := func(field, text string) {
			in.fault(in.entryAt(c, i)+span.Offset(entryFields, field), fmt.Sprintf("%s entry %d", c.name, i+1), text)
		}
		if e.PartitionTypeGUID == (rawGUID{}) {
			wrong("PartitionTypeGUID", "PartitionTypeGUID is zero, as of an unused entry, and other fields are not")
			continue
		}
		for len(t.Partitions) <= i {
			t.Partitions = append(t.Partitions, Partition{})
		}
		p := in.partition(c, e, wrong)
		if other, ok := owner[p.UUID]; ok {
			wrong("UniquePartitionGUID", fmt.Sprintf("UniquePartitionGUID %v is also that of partition %d", p.UUID, other))
		}
		owner[p.UUID] = i + 1
		t.Partitions[i] = p
	}
	in.overlaps(c, t)
	return t
}

// partition decodes an entry.
func (in *inspection) partition(c *tableCopy, e rawEntry, wrong func(field, text string)) Partition {
	p := Partition{Type: e.PartitionTypeGUID.uuid(), UUID: e.UniquePartitionGUID.uuid(), Attributes: e.Attributes}
	p.Start = int64(min(e.StartingLBA, math.MaxInt64))
	switch {
	case e.StartingLBA > e.EndingLBA:
		wrong("EndingLBA", fmt.Sprintf("EndingLBA is %d, but StartingLBA is %d", e.EndingLBA, e.StartingLBA))
	case e.EndingLBA >= math.MaxInt64:
		wrong("EndingLBA", fmt.Sprintf("EndingLBA is %d, which is impossible", e.EndingLBA))
	default:
		if p.Sectors = int64(e.EndingLBA-e.StartingLBA) + 1; e.StartingLBA < c.FirstUsableLBA || e.EndingLBA > c.LastUsableLBA {
			wrong("StartingLBA", fmt.Sprintf("sectors %d to %d are not within the usable sectors %d to %d", e.StartingLBA, e.EndingLBA, c.FirstUsableLBA, c.LastUsableLBA))
		}
		if e.EndingLBA >= uint64(in.count) {
			wrong("EndingLBA", fmt.Sprintf("EndingLBA is %d, but the disk has %d sectors", e.EndingLBA, in.count))
		}
	}
	if p.UUID == (repro.UUID{}) {
		wrong("UniquePartitionGUID", "UniquePartitionGUID is zero")
	}
	if reserved := e.Attributes &^ (7 | 0xffff<<48); reserved != 0 {
		wrong("Attributes", fmt.Sprintf("Attributes are 0x%016x, but bits 3 to 47 are reserved", e.Attributes))
	}
	p.Name = name(e, wrong)
	return p
}

// name returns the name in an entry, which is padded with zeros.
func name(e rawEntry, wrong func(field, text string)) string {
	units := e.PartitionName[:]
	if i := slices.Index(units, 0); i >= 0 {
		for _, u := range units[i:] {
			if u != 0 {
				wrong("PartitionName", fmt.Sprintf("PartitionName has 0x%04x after a zero", u))
				break
			}
		}
		units = units[:i]
	}
	text := string(utf16.Decode(units))
	if !slices.Equal(utf16.Encode([]rune(text)), units) {
		wrong("PartitionName", fmt.Sprintf("PartitionName %q is not UTF-16: it has an unpaired surrogate", text))
	}
	return text
}

// overlaps reports partitions that share sectors.
func (in *inspection) overlaps(c *tableCopy, t Table) {
	var all span.Map[int]
	for i, p := range t.Partitions {
		all.Add(p.Start, p.Sectors, i)
	}
	all.Sort()
	for one, two := range all.Overlaps() {
		in.fault(in.entryAt(c, two.What)+span.Offset(entryFields, "StartingLBA"), fmt.Sprintf("%s entry %d", c.name, two.What+1),
			fmt.Sprintf("%s has sectors %d to %d, but %s has %d to %d", t.label(two.What), two.Off, two.End()-1, t.label(one.What), one.Off, one.End()-1))
	}
}

// Notes returns what is valid but unusual: partitions that are not aligned to 1 MiB, numbers that are not in the order of the
// disk, and partitions in the MBR.
func (t Table) Notes() (notes []string) {
	if t.Active {
		notes = append(notes, "the first partition in the MBR is marked active, which UEFI ignores")
	}
	last := int64(0)
	for i, p := range t.Partitions {
		if p == (Partition{}) {
			continue
		}
		if off := p.Start * t.SectorSize; off%units.MiB != 0 {
			notes = append(notes, fmt.Sprintf("%s begins at byte %d, which is not a multiple of 1 MiB", t.label(i), off))
		}
		if p.MBRType != 0 {
			notes = append(notes, fmt.Sprintf("%s is in the MBR too, with the type 0x%02x", t.label(i), p.MBRType))
		}
		if p.Start < last {
			notes = append(notes, fmt.Sprintf("%s lies before the partition with the previous number", t.label(i)))
		}
		last = cmp.Or(p.Start, last)
	}
	return notes
}

// records checks the MBR: one partition of type 0xee (UEFI, 5.2.3), and in a hybrid one partitions of the table, which it completes.
func (in *inspection) records(t *Table) {
	b := make([]byte, 512)
	if err := readAt(in.image, b, 0); err != nil {
		in.fault(0, "protective MBR", err.Error())
		return
	}
	if b[510] != 0x55 || b[511] != 0xaa {
		in.fault(510, "protective MBR", fault.Mismatch("Signature", fmt.Sprintf("% x", b[510:]), "55 aa"))
	}
	records := decodeMBR(b)
	protective, foreign := t.addRecords(records)
	for _, i := range protective {
		in.protective(*t, records[i], i)
	}
	if n := len(protective); n != 1 {
		in.fault(mbrEntries, "protective MBR", fmt.Sprintf("%d partitions have the type 0xee, 1 is expected", n))
	}
	for i, e := range records {
		if e.BootIndicator != 0 && (e.BootIndicator != activeMark || i > 0) {
			in.record(i, "BootIndicator", e.BootIndicator, 0)
		}
	}
	for _, i := range foreign {
		e := records[i]
		in.fault(mbrEntries, "protective MBR", fmt.Sprintf("hybrid: it has entry %d of type 0x%02x with %d sectors from %d, which is no partition of the GPT",
			i+1, e.OSType, e.SizeInLBA, e.StartingLBA))
	}
}
