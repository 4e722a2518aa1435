package gpt

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

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
		t.adjust(&piece)
		b := tree.Text(string(piece.bytes))
		list = append(list, extent.Extent{Off: piece.off, Len: b.Size(), Blob: b, Meta: true})
	}
	if err := list.Sort(t.Sectors * t.SectorSize); err != nil {
		return nil, fmt.Errorf("gpt: write: %v", err)
	}
	return list, nil
}

// adjust changes a piece of go-diskfs to what that cannot write: the records of the MBR, and entries that are not after the header.
func (t Table) adjust(p *piece) {
	switch p.off {
	case mbrEntries:
		t.putRecords(p.bytes)
	case afterHeader * t.SectorSize:
		p.off = t.EntriesSector() * t.SectorSize
	case t.SectorSize:
		binary.LittleEndian.PutUint64(p.bytes[72:], uint64(t.EntriesSector()))
		t.putFirst(p.bytes)
	case (t.Sectors - 1) * t.SectorSize:
		t.putFirst(p.bytes)
	}
}

// putFirst sets the first usable sector in a header, and its checksum.
func (t Table) putFirst(header []byte) {
	binary.LittleEndian.PutUint64(header[40:], uint64(t.FirstUsable()))
	clear(header[16:20])
	binary.LittleEndian.PutUint32(header[16:], crc32.ChecksumIEEE(header[:headerSize]))
}

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
