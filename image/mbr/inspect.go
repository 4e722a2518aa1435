package mbr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"imprint/internal/fault"
	"imprint/internal/span"
	"imprint/internal/units"
)

// An entry is a partition record. Fields have the names of UEFI, 5.2.1.
type entry struct {
	BootIndicator uint8
	StartingCHS   [3]byte
	OSType        uint8
	EndingCHS     [3]byte
	StartingLBA   uint32
	SizeInLBA     uint32
}

var (
	entryFields  = span.Fields(entry{})
	recordFields = span.Row(span.Field{Len: signatureOff, Name: "BootCode"}, span.Field{Len: 4, Name: "UniqueMBRDiskSignature"},
		span.Field{Len: 2, Name: "Unknown"}, span.Field{Len: MaxPartitions * entrySize, Name: "PartitionRecord"}, span.Field{Len: 2, Name: "Signature"})
)

// Inspect reads the table of a disk of size bytes that may be damaged or made by any tool, and reports every fault.
// sectorSize is in bytes; 0 means 512, since the table does not say. Extended partitions, and the entry that stands for a GPT,
// are an error; so is a sector without a signature that has other faults as well, since it is probably no table.
func Inspect(r io.ReaderAt, size, sectorSize int64, report fault.Report) (Table, error) {
	if sectorSize == 0 {
		sectorSize = 512
	}
	record, err := readRecord(r, size)
	if err != nil {
		return Table{}, err
	}
	t := Table{Signature: binary.LittleEndian.Uint32(record[signatureOff:]), SectorSize: sectorSize, Sectors: size / sectorSize}
	faults := 0
	count := func(f fault.Fault) {
		faults++
		report(f)
	}
	signed := record[Size-2] == 0x55 && record[Size-1] == 0xaa
	if !signed {
		count(fault.Fault{Offset: Size - 2, Object: "MBR", Text: fault.Mismatch("Signature", fmt.Sprintf("% x", record[Size-2:]), "55 aa")})
	}
	in := inspection{t, count}
	entries := make([]entry, MaxPartitions)
	for i := range entries {
		e := decode(record, i)
		if err := refuse(e, i); err != nil {
			return Table{}, err
		}
		entries[i] = e
		in.Partitions = append(in.Partitions, in.partition(e, i))
	}
	in.overlaps()
	in.geometry(entries)
	if !signed && faults > 1 {
		return Table{}, errors.New("mbr: no signature, and no valid partitions")
	}
	for n := len(in.Partitions); n > 0 && in.Partitions[n-1] == (Partition{}); n-- {
		in.Partitions = in.Partitions[:n-1]
	}
	return in.Table, nil
}

func readRecord(r io.ReaderAt, size int64) ([]byte, error) {
	if size < Size {
		return nil, fmt.Errorf("mbr: read: a disk of %d bytes has no MBR", size)
	}
	record := make([]byte, Size)
	n, err := r.ReadAt(record, 0)
	switch {
	case n == Size:
		return record, nil
	case err == nil || errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return nil, fmt.Errorf("mbr: read: %w", err)
}

func decode(record []byte, i int) (e entry) {
	if _, err := binary.Decode(record[entriesOff+i*entrySize:], binary.LittleEndian, &e); err != nil {
		panic(err) // a record has 512 bytes
	}
	return e
}

// refuse returns an error for entries that are not supported.
func refuse(e entry, i int) error {
	switch {
	case e.OSType == 0xee:
		return fmt.Errorf("mbr: partition %d has the type 0xee: the disk has a GPT", i+1)
	case e.OSType != 0 && slices.Contains(reserved, e.OSType):
		return fmt.Errorf("mbr: partition %d has the type 0x%02x: extended partitions are not supported", i+1, e.OSType)
	}
	return nil
}

// An inspection checks the entries of a table.
type inspection struct {
	Table
	report fault.Report
}

func (in *inspection) wrong(i int, field, text string) {
	in.report(fault.Fault{Offset: int64(entriesOff+i*entrySize) + span.Offset(entryFields, field), Object: fmt.Sprintf("MBR record %d", i+1), Text: text})
}

// partition checks a single entry.
func (in *inspection) partition(e entry, i int) Partition {
	if e.OSType == 0 {
		if e != (entry{}) {
			in.wrong(i, "OSType", "OSType is 0, as of an unused record, and other fields are not")
		}
		return Partition{}
	}
	p := Partition{Type: e.OSType, Active: e.BootIndicator == active, Start: int64(e.StartingLBA), Sectors: int64(e.SizeInLBA)}
	if e.BootIndicator != active && e.BootIndicator != 0 {
		in.wrong(i, "BootIndicator", fmt.Sprintf("BootIndicator is 0x%02x, 0x80 or 0 is expected", e.BootIndicator))
	}
	if p.Start < 1 || p.Sectors < 1 {
		in.wrong(i, "StartingLBA", fmt.Sprintf("%d sectors from sector %d", p.Sectors, p.Start))
	}
	if p.Start+p.Sectors > in.Sectors {
		in.wrong(i, "SizeInLBA", fmt.Sprintf("%d sectors from sector %d, but the disk has %d", p.Sectors, p.Start, in.Sectors))
	}
	return p
}

// overlaps reports partitions that share sectors, and all but the first that are active.
func (in *inspection) overlaps() {
	var all span.Map[int]
	first := -1
	for i, p := range in.Partitions {
		all.Add(p.Start, p.Sectors, i)
		switch {
		case !p.Active:
		case first < 0:
			first = i
		default:
			in.wrong(i, "BootIndicator", fmt.Sprintf("partition %d is active, but so is partition %d", i+1, first+1))
		}
	}
	all.Sort()
	for one, two := range all.Overlaps() {
		in.wrong(two.What, "StartingLBA", fmt.Sprintf("partition %d has sectors %d to %d, but partition %d has %d to %d",
			two.What+1, two.Off, two.End()-1, one.What+1, one.Off, one.End()-1))
	}
}

// geometries are the heads and sectors per track that partitioning tools assume.
var geometries = [][2]int64{{255, 63}, {64, 32}, {128, 63}, {16, 63}, {240, 63}}

// geometry checks cylinders, heads and sectors: some geometry must make them agree with the sector numbers. All zeros mean no
// value.
func (in *inspection) geometry(entries []entry) {
	worst := -1
	for _, g := range geometries {
		i := slices.IndexFunc(entries, func(e entry) bool { return e.OSType != 0 && !e.fits(g) })
		if i < 0 {
			return
		}
		worst = max(worst, i)
	}
	e := entries[worst]
	first, last := cylinders(int64(e.StartingLBA)), cylinders(int64(e.StartingLBA)+int64(e.SizeInLBA)-1)
	in.wrong(worst, "StartingCHS", fmt.Sprintf("StartingCHS and EndingCHS are % x and % x, % x and % x are expected", e.StartingCHS, e.EndingCHS, first, last))
}

func (e entry) fits(g [2]int64) bool {
	first, end := int64(e.StartingLBA), int64(e.StartingLBA)+int64(e.SizeInLBA)-1
	return fits(e.StartingCHS, first, g) && fits(e.EndingCHS, end, g)
}

// fits reports whether three bytes are a sector in a geometry. A sector past the last cylinder that fits is written in several
// ways.
func fits(chs [3]byte, lba int64, g [2]int64) bool {
	heads, sectors := g[0], g[1]
	c, h, s := lba/(heads*sectors), lba/sectors%heads, lba%sectors+1
	if chs == [3]byte{} || c <= 1023 {
		return chs == [3]byte{} || chs == [3]byte{byte(h), byte(s | c>>8<<6), byte(c)}
	}
	return chs[1] == 0xff && chs[2] == 0xff || chs == [3]byte{byte(heads - 1), byte(sectors | 0xc0), 0xff} || chs == [3]byte{byte(h), byte(s | 0xc0), 0xff}
}

// Notes returns what is valid but unusual: partitions that are not aligned to 1 MiB, and a disk without a signature.
func (t Table) Notes() (notes []string) {
	if t.Signature == 0 {
		notes = append(notes, "the disk signature is zero, so partitions have no PARTUUID")
	}
	for i, p := range t.Partitions {
		if off := p.Start * t.SectorSize; p != (Partition{}) && off%units.MiB != 0 {
			notes = append(notes, fmt.Sprintf("partition %d begins at byte %d, which is not a multiple of 1 MiB", i+1, off))
		}
	}
	return notes
}

// Explain names the structure and field that the byte at off belongs to, such as "MBR, record 1, OSType" or "partition 2, byte
// 512". size is that of the disk in bytes, sectorSize is as for [Inspect].
func Explain(r io.ReaderAt, size, sectorSize, off int64) string {
	switch f, ok := recordFields.At(off); {
	case off < 0 || off >= size:
		return "after the disk"
	case ok && f.Off == entriesOff:
		field, _ := entryFields.At((off - f.Off) % entrySize)
		return fmt.Sprintf("MBR, record %d, %s", (off-f.Off)/entrySize+1, field.What)
	case ok:
		return "MBR, " + f.What
	}
	t, err := Inspect(r, size, sectorSize, func(fault.Fault) {})
	for i, p := range t.Partitions {
		if s := off / t.SectorSize; err == nil && s >= p.Start && s-p.Start < p.Sectors {
			return fmt.Sprintf("partition %d, byte %d", i+1, off-p.Start*t.SectorSize)
		}
	}
	return "unused, in no partition"
}
