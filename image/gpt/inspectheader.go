package gpt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"imprint/internal/fault"
	"imprint/internal/repro"
	"imprint/internal/span"
)

// The structures of a GPT with the names that UEFI gives their fields (UEFI, 5.3.2 and 5.3.3). They have no gaps, so that encoding/binary reads
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

// uuid is a GUID in the order in which it is written as text.
func (g rawGUID) uuid() (id repro.UUID) {
	binary.BigEndian.PutUint32(id[0:], binary.LittleEndian.Uint32(g[0:]))
	binary.BigEndian.PutUint16(id[4:], binary.LittleEndian.Uint16(g[4:]))
	binary.BigEndian.PutUint16(id[6:], binary.LittleEndian.Uint16(g[6:]))
	copy(id[8:], g[8:])
	return id
}

// header reads and checks a header by itself.
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
		return fmt.Errorf("no header: Signature is %q, %q is expected", c.Signature[:], signature)
	}
	if c.HeaderSize < headerSize || int64(c.HeaderSize) > in.sector {
		return fmt.Errorf("HeaderSize is %d, %d to %d are possible", c.HeaderSize, headerSize, in.sector)
	}
	sum := bytes.Clone(b[:c.HeaderSize])
	clear(sum[span.Offset(headerFields, "HeaderCRC32"):][:4])
	if got := crc32.ChecksumIEEE(sum); got != c.HeaderCRC32 {
		return fmt.Errorf("HeaderCRC32 is %08x, the bytes have %08x", c.HeaderCRC32, got)
	}
	in.want(c, "Revision", uint64(c.Revision), revision)
	in.want(c, "Reserved", uint64(c.Reserved), 0)
	if i := nonZero(b[c.HeaderSize:]); i >= 0 {
		at := int(c.HeaderSize) + i
		in.fault(c.lba*in.sector+int64(at), c.header(), fmt.Sprintf("byte %d, after the header, is 0x%02x, 0 is expected", at, b[at]))
	}
	return nil
}

// nonZero is the index of the first byte that is not zero, -1 if all are.
func nonZero(b []byte) int {
	if rest := bytes.TrimLeft(b, "\x00"); len(rest) > 0 {
		return len(b) - len(rest)
	}
	return -1
}

// want reports a field with another value than expected.
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
		return fmt.Errorf("%d bytes of entries from sector %d on, the disk has %d sectors", n*size, c.PartitionEntryLBA, in.count)
	}
	c.array = make([]byte, n*size)
	if err := readAt(in.image, c.array, int64(c.PartitionEntryLBA)*in.sector); err != nil {
		return err
	}
	if sum := crc32.ChecksumIEEE(c.array); sum != c.PartitionEntryArrayCRC32 {
		return fmt.Errorf("PartitionEntryArrayCRC32 is %08x, the entries have %08x", c.PartitionEntryArrayCRC32, sum)
	}
	c.entries = make([]rawEntry, n)
	for i := range c.entries {
		b := c.array[int64(i)*size:][:entrySize]
		if nonZero(b) < 0 {
			continue // as most are
		}
		if _, err := binary.Decode(b, binary.LittleEndian, &c.entries[i]); err != nil {
			return err
		}
	}
	return nil
}
