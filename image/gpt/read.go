package gpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Read reads the table of a disk of size bytes. Both copies must agree, the protective MBR must cover the disk, and the table
// must pass [Table.Check]: every other reader then sees the same table, whichever copy it uses.
func Read(r io.ReaderAt, size, sectorSize int64) (Table, error) {
	t := Table{SectorSize: sectorSize}
	if sectorSize > 0 {
		t.Sectors = size / sectorSize
	}
	if err := t.checkDisk(); err != nil {
		return Table{}, fmt.Errorf("gpt: read: %v", err)
	}
	h, err := t.readHeaders(r)
	if err != nil {
		return Table{}, err
	}
	if h.array != afterHeader {
		t.EntriesAt = h.array
	}
	if err := t.readEntries(r); err != nil {
		return Table{}, fmt.Errorf("gpt: read: %v", err)
	}
	if err := t.readMBR(r); err != nil {
		return Table{}, fmt.Errorf("gpt: read protective MBR: %v", err)
	}
	if err := t.checkWithin(h); err != nil {
		return Table{}, err
	}
	return t, nil
}

// readMBR checks that the MBR has one partition of type 0xee, over the whole disk or what is before the partitions of a hybrid one, and no
// others but those (UEFI, 5.2.3).
func (t *Table) readMBR(r io.ReaderAt) error {
	b := make([]byte, 512)
	if _, err := r.ReadAt(b, 0); err != nil {
		return err
	}
	if b[510] != 0x55 || b[511] != 0xaa {
		return fmt.Errorf("signature % x", b[510:])
	}
	records := decodeMBR(b)
	protective, foreign := t.addRecords(records)
	if len(protective) != 1 || len(foreign) > 0 {
		return fmt.Errorf("partitions % x", b[mbrEntries:510])
	}
	if e := records[protective[0]]; e.StartingLBA != 1 || e.SizeInLBA != t.protectedSectors() {
		return fmt.Errorf("%d sectors from %d, want %d from 1", e.SizeInLBA, e.StartingLBA, t.protectedSectors())
	}
	return nil
}

// A header is the header of a copy.
type header struct {
	self, other int64 // sectors of this header and of the other copy's
	first, last int64 // usable sectors
	array       int64 // first sector of the entries
	guid        [16]byte
	entries     []byte
}

// readHeaders reads both copies and compares them.
func (t Table) readHeaders(r io.ReaderAt) (header, error) {
	front, err := t.readCopy(r, 1)
	if err != nil {
		return header{}, fmt.Errorf("gpt: read table: %v", err)
	}
	back, err := t.readCopy(r, t.Sectors-1)
	if err != nil {
		return header{}, fmt.Errorf("gpt: read backup: %v", err)
	}
	if front.guid != back.guid || front.first != back.first || front.last != back.last || !bytes.Equal(front.entries, back.entries) {
		return header{}, errors.New("gpt: read: the table and its backup differ")
	}
	return front, nil
}

// readCopy reads the copy whose header is in sector lba, the second or the last, and checks both checksums (UEFI, 5.3.2).
func (t Table) readCopy(r io.ReaderAt, lba int64) (header, error) {
	b := make([]byte, 92)
	if _, err := r.ReadAt(b, lba*t.SectorSize); err != nil {
		return header{}, err
	}
	h, err := parseHeader(b)
	if err != nil {
		return header{}, fmt.Errorf("sector %d: %v", lba, err)
	}
	if err := t.checkHeader(h, lba); err != nil {
		return header{}, err
	}
	h.entries = make([]byte, arraySize)
	if _, err := r.ReadAt(h.entries, h.array*t.SectorSize); err != nil {
		return header{}, err
	}
	if want, got := binary.LittleEndian.Uint32(b[88:]), crc32.ChecksumIEEE(h.entries); want != got {
		return header{}, fmt.Errorf("entries have the checksum %08x, want %08x", got, want)
	}
	return h, nil
}

// parseHeader reads the 92 bytes of a header.
func parseHeader(b []byte) (header, error) {
	le := binary.LittleEndian
	sum := le.Uint32(b[16:])
	copied := bytes.Clone(b)
	clear(copied[16:20])
	switch revision, size := le.Uint32(b[8:]), le.Uint32(b[12:]); {
	case string(b[:8]) != "EFI PART":
		return header{}, errors.New("no header")
	case revision != 0x10000 || size != 92:
		return header{}, fmt.Errorf("header of revision %#x with %d bytes, want 0x10000 with 92", revision, size)
	case sum != crc32.ChecksumIEEE(copied):
		return header{}, fmt.Errorf("header has the checksum %08x, want %08x", crc32.ChecksumIEEE(copied), sum)
	}
	if count, size := le.Uint32(b[80:]), le.Uint32(b[84:]); count != MaxPartitions || size != entrySize {
		return header{}, fmt.Errorf("%d entries of %d bytes, want %d of %d", count, size, MaxPartitions, entrySize)
	}
	at := func(off int) int64 { return int64(le.Uint64(b[off:])) }
	return header{self: at(24), other: at(32), first: at(40), last: at(48), array: at(72), guid: [16]byte(b[56:72])}, nil
}

// checkHeader checks the offsets in the header in sector lba: the entries must be between the header and the usable sectors.
func (t Table) checkHeader(h header, lba int64) error {
	from, to := int64(2), h.first
	if lba != 1 {
		from, to = h.last+1, lba
	}
	to -= arraySize / t.SectorSize
	switch {
	case h.self != lba || h.other != t.Sectors-lba:
		return fmt.Errorf("header in sector %d says that it is in sector %d, and the other in %d", lba, h.self, h.other)
	case h.first < FirstUsable(t.SectorSize) || h.last > t.lastUsable() || h.first > h.last:
		return fmt.Errorf("usable sectors %d to %d, want within %d to %d", h.first, h.last, FirstUsable(t.SectorSize), t.lastUsable())
	case h.array < from || h.array > to:
		return fmt.Errorf("entries from sector %d, want %d to %d", h.array, from, to)
	}
	return nil
}

// checkWithin is Check with the usable sectors in the header, which may be fewer than possible.
func (t Table) checkWithin(h header) error {
	if err := t.Check(); err != nil {
		return err
	}
	for i, p := range t.Partitions {
		if end := p.Start + p.Sectors - 1; p != (Partition{}) && (p.Start < h.first || end > h.last) {
			return fmt.Errorf("gpt: %s has sectors %d to %d, but the header allows %d to %d", t.label(i), p.Start, end, h.first, h.last)
		}
	}
	return nil
}
