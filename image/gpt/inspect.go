package gpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"imprint/internal/fault"
	"imprint/internal/repro"
	"imprint/internal/span"
)

// The structures of a GPT, with the field names of UEFI, 5.3.2 and 5.3.3. They have no padding, so encoding/binary can read
// them.
type (
	rawHeader struct {
		Signature                [8]byte
		Revision                 uint32
		HeaderSize               uint32 // bytes
		HeaderCRC32              uint32
		Reserved                 uint32
		MyLBA                    uint64
		AlternateLBA             uint64
		FirstUsableLBA           uint64
		LastUsableLBA            uint64
		DiskGUID                 rawGUID
		PartitionEntryLBA        uint64
		NumberOfPartitionEntries uint32
		SizeOfPartitionEntry     uint32 // bytes
		PartitionEntryArrayCRC32 uint32
	}

	rawEntry struct {
		PartitionTypeGUID   rawGUID
		UniquePartitionGUID rawGUID
		StartingLBA         uint64
		EndingLBA           uint64
		Attributes          uint64
		PartitionName       [maxNameUnits]uint16
	}

	rawGUID [16]byte // the first three parts are little-endian
)

const (
	headerSize   = 92
	revision     = 0x10000
	signature    = "EFI PART"
	maxArraySize = 1 << 20 // bytes of entries that are read: 8192 of them
)

var headerFields, entryFields = span.Fields(rawHeader{}), span.Fields(rawEntry{})

// uuid returns a GUID in the byte order of its text.
func (g rawGUID) uuid() (id repro.UUID) {
	binary.BigEndian.PutUint32(id[0:], binary.LittleEndian.Uint32(g[0:]))
	binary.BigEndian.PutUint16(id[4:], binary.LittleEndian.Uint16(g[4:]))
	binary.BigEndian.PutUint16(id[6:], binary.LittleEndian.Uint16(g[6:]))
	copy(id[8:], g[8:])
	return id
}

// Inspect reads the table of a disk of size bytes that may be damaged or made by any tool, and reports every fault of both
// copies and of the protective MBR: wrong checksums and offsets, copies that differ, partitions that overlap, and a backup
// that is not at the end of the disk, as after the disk has grown or was truncated. It returns the first copy, or the backup
// if the first is unusable; the error says that both are. sectorSize is in bytes; 0 tries 512, then 4096.
//
// Further partitions in the MBR (a hybrid MBR) are reported, since UEFI does not allow them. See [Table.Notes] for what is
// valid but unusual.
func Inspect(r io.ReaderAt, size, sectorSize int64, report fault.Report) (Table, error) {
	sectorSize, err := findSectorSize(r, size, sectorSize)
	if err != nil {
		return Table{}, err
	}
	in := newInspection(r, size, sectorSize, report)
	in.protectiveMBR()
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
	return in.table(best), nil
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

// header reads a header and checks what can be checked without the entries and the other copy.
func (in *inspection) header(c *tableCopy) error {
	if c.lba < 1 || c.lba >= in.count {
		return fmt.Errorf("sector %d is not on the disk of %d sectors", c.lba, in.count)
	}
	b := make([]byte, in.sector)
	if err := readAt(in.image, b, c.lba*in.sector); err != nil {
		return err
	}
	if _, err := binary.Decode(b, binary.LittleEndian, &c.rawHeader); err != nil {
		return err
	}
	if string(c.Signature[:]) != signature {
		return fmt.Errorf("Signature is %q, %q is expected", c.Signature[:], signature)
	}
	if c.HeaderSize < headerSize || int64(c.HeaderSize) > in.sector {
		return fmt.Errorf("HeaderSize is %d, %d to %d is expected", c.HeaderSize, headerSize, in.sector)
	}
	sum := bytes.Clone(b[:c.HeaderSize])
	clear(sum[span.Offset(headerFields, "HeaderCRC32"):][:4])
	if got := crc32.ChecksumIEEE(sum); got != c.HeaderCRC32 {
		return fmt.Errorf("HeaderCRC32 is %08x, but the bytes have %08x", c.HeaderCRC32, got)
	}
	in.want(c, "Revision", uint64(c.Revision), revision)
	in.want(c, "Reserved", uint64(c.Reserved), 0)
	if i := nonZero(b[c.HeaderSize:]); i >= 0 {
		at := int(c.HeaderSize) + i
		in.fault(c.lba*in.sector+int64(at), c.header(), fmt.Sprintf("byte %d, after the header, is 0x%02x, 0 is expected", at, b[at]))
	}
	return nil
}

// nonZero returns the index of the first byte that is not zero, -1 if there is none.
func nonZero(b []byte) int {
	if rest := bytes.TrimLeft(b, "\x00"); len(rest) > 0 {
		return len(b) - len(rest)
	}
	return -1
}

// want reports a field with an unexpected value.
func (in *inspection) want(c *tableCopy, field string, found, expected uint64) {
	if found != expected {
		in.fault(c.field(field, in), c.header(), fault.Mismatch(field, found, expected))
	}
}

// array reads the entries.
func (in *inspection) array(c *tableCopy) error {
	n, size := int64(c.NumberOfPartitionEntries), int64(c.SizeOfPartitionEntry)
	if size < entrySize || size%entrySize != 0 || n == 0 || size > maxArraySize || n > maxArraySize/size {
		return fmt.Errorf("%d entries of %d bytes", n, size)
	}
	if c.PartitionEntryLBA > uint64(in.count) || int64(c.PartitionEntryLBA)*in.sector > in.count*in.sector-n*size {
		return fmt.Errorf("%d bytes of entries from sector %d, but the disk has %d sectors", n*size, c.PartitionEntryLBA, in.count)
	}
	c.array = make([]byte, n*size)
	if err := readAt(in.image, c.array, int64(c.PartitionEntryLBA)*in.sector); err != nil {
		return err
	}
	if sum := crc32.ChecksumIEEE(c.array); sum != c.PartitionEntryArrayCRC32 {
		return fmt.Errorf("PartitionEntryArrayCRC32 is %08x, but the entries have %08x", c.PartitionEntryArrayCRC32, sum)
	}
	c.entries = make([]rawEntry, n)
	for i := range c.entries {
		if _, err := binary.Decode(c.array[int64(i)*size:], binary.LittleEndian, &c.entries[i]); err != nil {
			return err
		}
	}
	return nil
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
