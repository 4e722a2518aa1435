package gpt

import (
	"errors"
	"fmt"
	"io"
	"math"

	"imprint/internal/fault"
	"imprint/internal/span"
)

// Inspect reads the table of a disk of size bytes that may be damaged or made by any tool, and reports every fault of both
// copies and of the protective MBR: wrong checksums and offsets, copies that differ, partitions that overlap, and a backup
// that is not at the end of the disk, as after the disk has grown or was truncated. It returns the first copy, or the backup
// if the first is unusable; the error says that both are. sectorSize is in bytes; 0 tries 512, then 4096.
//
// Further partitions in the MBR (a hybrid MBR) are reported unless they are partitions of the GPT. See [Table.Notes] for what
// is valid but unusual.
func Inspect(r io.ReaderAt, size, sectorSize int64, report fault.Report) (Table, error) {
	sectorSize, err := findSectorSize(r, size, sectorSize)
	if err != nil {
		return Table{}, err
	}
	in := newInspection(r, size, sectorSize, report)
	front, frontErr := in.copy("primary", 1)
	back, backErr := in.copy("backup", in.backupAt(front))
	best := front
	switch {
	case frontErr != nil && backErr != nil:
		return Table{}, fmt.Errorf("gpt: neither copy of the table can be used: primary %v; backup %v", frontErr, backErr)
	case frontErr != nil:
		best = back
	case backErr == nil:
		in.compare(front, back)
	}
	in.extent(best)
	t := in.table(best)
	in.records(&t)
	return t, nil
}

// findSectorSize looks for a header where each sector size would put one: at the front, then at the end.
func findSectorSize(r io.ReaderAt, size, given int64) (int64, error) {
	if given != 0 && given != 512 && given != 4096 {
		return 0, fmt.Errorf("gpt: sectors of %d bytes, want 512 or 4096", given)
	}
	if given != 0 {
		return given, nil
	}
	b := make([]byte, len(signature))
	for _, at := range []func(sector int64) int64{func(s int64) int64 { return s }, func(s int64) int64 { return size/s*s - s }} {
		for _, sector := range []int64{512, 4096} {
			if off := at(sector); off >= 0 && off <= size-sector && readAt(r, b, off) == nil && string(b) == signature {
				return sector, nil
			}
		}
	}
	return 0, fmt.Errorf("gpt: no header in the second or the last sector of a disk of %d bytes, with sectors of 512 or 4096", size)
}

// readAt fills b.
func readAt(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}

// An inspection reads both copies.
type inspection struct {
	image  io.ReaderAt
	sector int64 // bytes
	count  int64 // sectors of the disk
	report fault.Report
}

func newInspection(r io.ReaderAt, size, sector int64, report fault.Report) *inspection {
	if report == nil {
		report = func(fault.Fault) {}
	}
	return &inspection{r, sector, size / sector, report}
}

func (in *inspection) fault(at int64, object, text string) {
	in.report(fault.Fault{Offset: at, Object: object, Text: text})
}

// A tableCopy is one of the two copies.
type tableCopy struct {
	rawHeader
	name    string
	lba     int64 // of the header
	array   []byte
	entries []rawEntry
}

// copy reads the copy whose header is in sector lba. An error, which was reported too, says why it cannot be used.
func (in *inspection) copy(name string, lba int64) (*tableCopy, error) {
	c := &tableCopy{name: name, lba: lba}
	if err := in.header(c); err != nil {
		in.fault(lba*in.sector, c.header(), err.Error())
		return c, fmt.Errorf("header in sector %d: %v", lba, err)
	}
	if err := in.array(c); err != nil {
		in.fault(c.field("PartitionEntryArrayCRC32", in), c.header(), err.Error())
		return c, fmt.Errorf("entries: %v", err)
	}
	in.places(c)
	return c, nil
}

func (c *tableCopy) header() string { return c.name + " header" }

// field returns the offset on the disk of a field of the header.
func (c *tableCopy) field(name string, in *inspection) int64 {
	return c.lba*in.sector + span.Offset(headerFields, name)
}

// arraySectors returns the number of sectors that the entries take.
func (in *inspection) arraySectors(c *tableCopy) int64 {
	return (int64(len(c.array)) + in.sector - 1) / in.sector
}

// places checks the offsets of a copy's parts: the header is where it says, and the entries are outside of the usable sectors.
func (in *inspection) places(c *tableCopy) {
	in.want(c, "MyLBA", c.MyLBA, uint64(c.lba))
	if c.lba != 1 {
		in.want(c, "AlternateLBA", c.AlternateLBA, 1)
	}
	first, end := c.PartitionEntryLBA, c.PartitionEntryLBA+uint64(in.arraySectors(c))
	if c.FirstUsableLBA > c.LastUsableLBA || c.LastUsableLBA >= uint64(max(in.count, 1)) {
		in.fault(c.field("LastUsableLBA", in), c.header(), fmt.Sprintf("usable sectors are %d to %d, but the disk has %d", c.FirstUsableLBA, c.LastUsableLBA, in.count))
	}
	if first < 2 || first <= c.LastUsableLBA && end > c.FirstUsableLBA {
		in.fault(c.field("PartitionEntryLBA", in), c.header(), fmt.Sprintf("entries are in sectors %d to %d, among the usable sectors %d to %d",
			first, end-1, c.FirstUsableLBA, c.LastUsableLBA))
	}
	if c.lba != 1 && first < uint64(c.lba) && end > uint64(c.lba) {
		in.fault(c.field("PartitionEntryLBA", in), c.header(), fmt.Sprintf("entries are in sectors %d to %d, and the header is in sector %d", first, end-1, c.lba))
	}
}

// backupAt returns the sector of the backup header: the one in the first copy if it is on the disk, or the last sector. After
// a disk has grown, the backup is still where its end was.
func (in *inspection) backupAt(front *tableCopy) int64 {
	if n := front.AlternateLBA; string(front.Signature[:]) == signature && n > 1 && n < uint64(in.count) && in.hasHeader(int64(n)) {
		return int64(n)
	}
	return in.count - 1
}

func (in *inspection) hasHeader(lba int64) bool {
	b := make([]byte, len(signature))
	return readAt(in.image, b, lba*in.sector) == nil && string(b) == signature
}

// extent compares the disk with the one that the table was made for, whose last sector held the backup.
func (in *inspection) extent(c *tableCopy) {
	last := c.AlternateLBA
	if c.lba != 1 {
		last = c.MyLBA
	}
	at := c.field("AlternateLBA", in)
	switch {
	case last >= math.MaxInt64/uint64(in.sector):
		in.fault(at, c.header(), fmt.Sprintf("AlternateLBA is %d, which is impossible", last))
	case int64(last) < in.count-1:
		in.fault(at, c.header(), fmt.Sprintf("the backup is in sector %d, but the last sector is %d: the disk has grown by %d bytes",
			last, in.count-1, (in.count-1-int64(last))*in.sector))
	case int64(last) > in.count-1:
		in.fault(at, c.header(), fmt.Sprintf("the backup is in sector %d, but the last sector is %d: %d bytes at its end are missing",
			last, in.count-1, (int64(last)-in.count+1)*in.sector))
	}
}
