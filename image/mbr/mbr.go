// Package mbr lays out and reads the partition table of a master boot record, with up to four primary partitions (UEFI
// specification 2.10, 5.2.1, which describes the format of DOS).
//
//	0     boot code, up to 440 bytes
//	440   disk signature, 4 bytes
//	444   2 bytes, unused
//	446   four entries of 16 bytes
//	510   55 aa
//
// Cylinders, heads and sectors, which only very old firmware reads, are those of a disk with 255 heads and 63 sectors per
// track.
package mbr

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// Sizes and offsets in bytes.
const (
	// MaxPartitions is the number of entries.
	MaxPartitions = 4
	// Size is the size of the record, which is at offset 0 of the disk.
	Size         = 512
	signatureOff = 440
	entriesOff   = 446
	entrySize    = 16
	active       = 0x80
)

// Types of entries that are not a partition with content: unused, extended, and the protective entry of a GPT.
var reserved = []byte{0x00, 0x05, 0x0f, 0x85, 0xee}

// A Table is the partition table of a disk.
type Table struct {
	Signature  uint32 // of the disk
	SectorSize int64  // bytes: 512 or 4096
	Sectors    int64  // of the whole disk
	Partitions []Partition
}

// A Partition is an entry of the table. The zero Partition is an unused entry.
type Partition struct {
	Type    byte
	Active  bool  // boot code boots from it
	Start   int64 // first sector
	Sectors int64 // number of sectors
}

// UUID returns the PARTUUID that Linux derives for a partition, numbered from 1, of a disk with that signature.
func UUID(signature uint32, number int) string { return fmt.Sprintf("%08x-%02x", signature, number) }

// Extents returns the bytes of the table as one extent with Meta set, without boot code. The error is that of [Table.Check].
func (t Table) Extents() (extent.List, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	record := make([]byte, Size)
	binary.LittleEndian.PutUint32(record[signatureOff:], t.Signature)
	for i, p := range t.Partitions {
		if p != (Partition{}) {
			p.put(record[entriesOff+i*entrySize:])
		}
	}
	record[Size-2], record[Size-1] = 0x55, 0xaa
	b := tree.Text(string(record[signatureOff:]))
	return extent.List{{Off: signatureOff, Len: b.Size(), Blob: b, Meta: true}}, nil
}

func (p Partition) put(entry []byte) {
	if p.Active {
		entry[0] = active
	}
	first, last := cylinders(p.Start), cylinders(p.Start+p.Sectors-1)
	copy(entry[1:], first[:])
	entry[4] = p.Type
	copy(entry[5:], last[:])
	binary.LittleEndian.PutUint32(entry[8:], uint32(p.Start))
	binary.LittleEndian.PutUint32(entry[12:], uint32(p.Sectors))
}

// cylinders returns a sector as the bytes head, sector and cylinder. Sectors count from 1, and the two highest bits of that
// byte belong to the cylinder. A sector too large for this form becomes the last one that fits.
func cylinders(lba int64) [3]byte {
	const heads, sectors, most = 255, 63, 1023
	c, h, s := lba/(heads*sectors), lba/sectors%heads, lba%sectors+1
	if c > most {
		c, h, s = most, heads-1, sectors
	}
	return [3]byte{byte(h), byte(s | c>>8<<6), byte(c)}
}

// CheckType reports an error for a type that is not that of a partition with content.
func CheckType(n byte) error {
	if slices.Contains(reserved, n) {
		return fmt.Errorf("type 0x%02x does not stand for a partition with content", n)
	}
	return nil
}

// Check reports why a table would not be valid on a disk of that size: a signature of zero, more than four partitions,
// partitions that overlap, leave the disk or do not fit into 32 bits, types with a special meaning, more than one active
// partition.
func (t Table) Check() error {
	switch {
	case t.Signature == 0:
		return fmt.Errorf("mbr: the disk signature is zero, which means none")
	case len(t.Partitions) > MaxPartitions:
		return fmt.Errorf("mbr: %d partitions, the table has %d entries", len(t.Partitions), MaxPartitions)
	}
	starting := 0
	for i, p := range t.Partitions {
		if p == (Partition{}) {
			continue
		}
		if err := t.check(p); err != nil {
			return fmt.Errorf("mbr: partition %d: %v", i+1, err)
		}
		for k, q := range t.Partitions[:i] {
			if q.Start < p.Start+p.Sectors && p.Start < q.Start+q.Sectors {
				return fmt.Errorf("mbr: partition %d has sectors %d to %d, but partition %d has sectors %d to %d",
					i+1, p.Start, p.Start+p.Sectors-1, k+1, q.Start, q.Start+q.Sectors-1)
			}
		}
		if p.Active {
			starting++
		}
	}
	if starting > 1 {
		return fmt.Errorf("mbr: %d partitions are active, but boot code expects one", starting)
	}
	return nil
}

func (t Table) check(p Partition) error {
	switch {
	case CheckType(p.Type) != nil:
		return CheckType(p.Type)
	case p.Start < 1 || p.Sectors < 1:
		return fmt.Errorf("%d sectors from sector %d", p.Sectors, p.Start)
	case p.Start > t.Sectors || p.Sectors > t.Sectors-p.Start:
		return fmt.Errorf("%d sectors from sector %d, but the disk has %d", p.Sectors, p.Start, t.Sectors)
	case p.Start+p.Sectors-1 > math.MaxUint32:
		return fmt.Errorf("its last sector is %d, but an MBR counts up to %d", p.Start+p.Sectors-1, uint32(math.MaxUint32))
	}
	return nil
}

// Read reads and checks the table of a disk of size bytes.
func Read(r io.ReaderAt, size, sectorSize int64) (Table, error) {
	record := make([]byte, Size)
	if _, err := r.ReadAt(record, 0); err != nil {
		return Table{}, fmt.Errorf("mbr: read: %w", err)
	}
	if record[Size-2] != 0x55 || record[Size-1] != 0xaa {
		return Table{}, fmt.Errorf("mbr: the first sector ends with % x, not 55 aa", record[Size-2:])
	}
	t := Table{Signature: binary.LittleEndian.Uint32(record[signatureOff:]), SectorSize: sectorSize, Sectors: size / sectorSize}
	for i := range MaxPartitions {
		e := record[entriesOff+i*entrySize:][:entrySize]
		t.Partitions = append(t.Partitions, Partition{
			Type: e[4], Active: e[0] == active,
			Start: int64(binary.LittleEndian.Uint32(e[8:])), Sectors: int64(binary.LittleEndian.Uint32(e[12:])),
		})
	}
	for n := len(t.Partitions); n > 0 && t.Partitions[n-1] == (Partition{}); n-- {
		t.Partitions = t.Partitions[:n-1]
	}
	return t, t.Check()
}
