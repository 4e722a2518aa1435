package gpt

import (
	"encoding/binary"
	"fmt"
	"math"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// mbrEntries is where the four partitions of an MBR begin, in bytes. What is before them belongs to boot code.
const mbrEntries = 446

// Extents gives the table's bytes as extents of the disk, sorted, all with Meta set: the protective MBR without the 446 bytes of boot code
// before its entries, the header, the entries, and the backups of both. A table that Check refuses gives its error.
func (t Table) Extents() (extent.List, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	pieces, err := t.bytesOf()
	if err != nil {
		return nil, fmt.Errorf("gpt: write: %v", err)
	}
	var list extent.List
	for _, piece := range pieces {
		if piece.off == mbrEntries {
			t.protect(piece.bytes)
		}
		b := tree.Text(string(piece.bytes))
		list = append(list, extent.Extent{Off: piece.off, Len: b.Size(), Blob: b, Meta: true})
	}
	if err := list.Sort(t.Sectors * t.SectorSize); err != nil {
		return nil, fmt.Errorf("gpt: write: %v", err)
	}
	return list, nil
}

// protect sets what go-diskfs leaves out of the one partition of the protective MBR (UEFI, 5.2.3): where it begins and ends in cylinders,
// heads and sectors, and its size on a disk with more sectors than 32 bits count.
func (t Table) protect(entries []byte) {
	first, last := cylinders(1), cylinders(t.Sectors-1)
	copy(entries[1:], first[:])
	copy(entries[5:], last[:])
	binary.LittleEndian.PutUint32(entries[12:], t.protectedSectors())
}

// protectedSectors is how much of the disk the protective MBR covers.
func (t Table) protectedSectors() uint32 { return uint32(min(t.Sectors-1, math.MaxUint32)) }

// cylinders is a sector as head, sector and cylinder on the disk of 255 heads and 63 sectors that BIOSes make of every large one; the sector
// counts from 1, and its two highest bits are those of the cylinder. All ones are a sector past what can be told.
func cylinders(lba int64) [3]byte {
	const heads, sectors = 255, 63
	c, h, s := lba/(heads*sectors), lba/sectors%heads, lba%sectors+1
	if c > 1023 {
		return [3]byte{0xff, 0xff, 0xff}
	}
	return [3]byte{byte(h), byte(s | c>>8<<6), byte(c)}
}
