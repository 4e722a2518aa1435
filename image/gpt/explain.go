package gpt

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"imprint/internal/fault"
	"imprint/internal/span"
)

// An mbrEntry is a partition record of an MBR. Fields have the names of UEFI, 5.2.1.
type mbrEntry struct {
	BootIndicator uint8
	StartingCHS   [3]byte
	OSType        uint8
	EndingCHS     [3]byte
	StartingLBA   uint32
	SizeInLBA     uint32
}

var (
	mbrFields = span.Fields(mbrEntry{})
	mbrRecord = span.Row(span.Field{Len: 440, Name: "boot code"}, span.Field{Len: 4, Name: "UniqueMBRDiskSignature"}, span.Field{Len: 2, Name: "Unknown"},
		span.Field{Len: 4 * mbrEntrySize, Name: "PartitionRecord"}, span.Field{Len: 2, Name: "Signature"})
)

func decodeMBR(b []byte) (records [mbrRecords]mbrEntry) {
	if _, err := binary.Decode(b[mbrEntries:], binary.LittleEndian, &records); err != nil {
		panic(err) // b has 512 bytes
	}
	return records
}

// record reports a field of a record of the MBR.
func (in *inspection) record(i int, field string, found, expected any) {
	in.fault(int64(mbrEntries+i*mbrEntrySize)+span.Offset(mbrFields, field), "protective MBR", fault.Mismatch(field, found, expected))
}

// protective checks the fields of the record that stands for the GPT. Tools disagree about its end in cylinders, so several
// values pass.
func (in *inspection) protective(t Table, e mbrEntry, i int) {
	want := func(field string, ok bool, found, expected any) {
		if !ok {
			in.record(i, field, found, expected)
		}
	}
	last := int64(t.protectedSectors())
	if n, _ := t.hybrid(); n == 0 {
		last = in.count - 1 // which may have more than 32 bits
	}
	start, end := cylinders(1), cylinders(last)
	ends := [][3]byte{end, in.smallEnd(), {0xff, 0xff, 0xff}, {0xfe, 0xff, 0xff}}
	want("StartingCHS", e.StartingCHS == start || e.StartingCHS == [3]byte{0, 1, 0}, fmt.Sprintf("% x", e.StartingCHS), fmt.Sprintf("% x", start))
	want("EndingCHS", slices.Contains(ends, e.EndingCHS), fmt.Sprintf("% x", e.EndingCHS), fmt.Sprintf("% x", end))
	want("StartingLBA", e.StartingLBA == 1, e.StartingLBA, 1)
	want("SizeInLBA", e.SizeInLBA == t.protectedSectors() || e.SizeInLBA == 0xffffffff, e.SizeInLBA, t.protectedSectors())
}

// smallEnd returns the last sector of the disk in the geometry of xorriso, 64 heads and 32 sectors.
func (in *inspection) smallEnd() [3]byte {
	const heads, sectors = 64, 32
	lba := in.count - 1
	c := min(lba/(heads*sectors), 1023)
	return [3]byte{byte(lba / sectors % heads), byte(lba%sectors + 1 | c>>8<<6), byte(c)}
}

// Explain names the structure and field that the byte at off belongs to, such as "protective MBR, record 1, OSType", "primary
// header, MyLBA", "backup entry 3, PartitionName" or "partition 2 ("root"), byte 512". size is that of the disk in bytes,
// sectorSize is as for [Inspect].
func Explain(r io.ReaderAt, size, sectorSize, off int64) string {
	sector, err := findSectorSize(r, size, sectorSize)
	switch {
	case off < 0 || off >= size:
		return "after the disk"
	case off < 512:
		return explainMBR(off)
	case err != nil:
		return "no partition table"
	}
	in := newInspection(r, size, sector, nil)
	front, _ := in.copy("primary", 1)
	back, _ := in.copy("backup", in.backupAt(front))
	for _, c := range []*tableCopy{front, back} {
		if text := in.explainCopy(c, off); text != "" {
			return text
		}
	}
	if front.entries == nil {
		front = back
	}
	t := in.table(front)
	for i, p := range t.Partitions {
		if s := off / sector; s >= p.Start && s-p.Start < p.Sectors {
			return fmt.Sprintf("%s, byte %d", t.label(i), off-p.Start*sector)
		}
	}
	return "unused, in no partition"
}

func explainMBR(off int64) string {
	f, _ := mbrRecord.At(off)
	if f.What != "PartitionRecord" {
		return "protective MBR, " + f.What
	}
	field, _ := mbrFields.At((off - f.Off) % mbrEntrySize)
	return fmt.Sprintf("protective MBR, record %d, %s", (off-f.Off)/mbrEntrySize+1, field.What)
}

// explainCopy is Explain for one copy; "" for a byte outside of it. If the header is damaged, it assumes the usual layout.
func (in *inspection) explainCopy(c *tableCopy, off int64) string {
	at, n, size := int64(c.PartitionEntryLBA)*in.sector, int64(len(c.array)), int64(c.SizeOfPartitionEntry)
	if n == 0 {
		n, size = arraySize, entrySize
		if at = 2 * in.sector; c.lba != 1 {
			at = c.lba*in.sector - arraySize
		}
	}
	switch in0 := off - c.lba*in.sector; {
	case in0 >= 0 && in0 < in.sector:
		if f, ok := headerFields.At(in0); ok {
			return c.header() + ", " + f.What
		}
		return c.header() + ", reserved"
	case off >= at && off < at+n:
		f, ok := entryFields.At((off - at) % size)
		if !ok {
			f.What = "reserved"
		}
		return fmt.Sprintf("%s entry %d, %s", c.name, (off-at)/size+1, f.What)
	}
	return ""
}
