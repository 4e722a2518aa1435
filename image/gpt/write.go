package gpt

import (
	"encoding/binary"
	"fmt"
	"math"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// mbrEntries is the offset of the four entries of an MBR. The bytes before it belong to boot code.
const mbrEntries = 446

// Extents returns the table's bytes as extents of the disk, sorted, all with Meta set: the protective MBR without its 446
// bytes of boot code, which the caller may fill, the header, the entries, and the backups of both. The error is that of
// [Table.Check].
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

// protect sets what go-diskfs omits in the protective MBR (UEFI, 5.2.3): begin and end in cylinders, heads and sectors, and
// the size of a disk with more sectors than fit into 32 bits.
func (t Table) protect(entries []byte) {
	first, last := cylinders(1), cylinders(t.Sectors-1)
	copy(entries[1:], first[:])
	copy(entries[5:], last[:])
	binary.LittleEndian.PutUint32(entries[12:], t.protectedSectors())
}

// protectedSectors returns the size of the protective partition in sectors.
func (t Table) protectedSectors() uint32 { return uint32(min(t.Sectors-1, math.MaxUint32)) }

// cylinders returns a sector as the bytes head, sector and cylinder, with 255 heads and 63 sectors, the geometry that BIOSes
// use for all large disks. Sectors count from 1, and the two highest bits of that byte belong to the cylinder. A sector too
// large for this form is all ones.
func cylinders(lba int64) [3]byte {
	const heads, sectors = 255, 63
	c, h, s := lba/(heads*sectors), lba/sectors%heads, lba%sectors+1
	if c > 1023 {
		return [3]byte{0xff, 0xff, 0xff}
	}
	return [3]byte{byte(h), byte(s | c>>8<<6), byte(c)}
}
