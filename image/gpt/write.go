package gpt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"imprint/internal/extent"
	"imprint/internal/tree"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/partition/gpt"
)

// mbrEntries is where the four partitions of an MBR begin, in bytes. What is before them belongs to boot code.
const mbrEntries = 446

// Extents gives the table's bytes as extents of the disk, sorted, all with Meta set: the protective MBR without the 446 bytes of boot code
// before its entries, the header, the entries, and the backups of both. A table that Check refuses gives its error.
func (t Table) Extents() (extent.List, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	var w writes
	if err := guard(func() error { return t.diskfs().Write(&w, t.Sectors*t.SectorSize) }); err != nil {
		return nil, fmt.Errorf("gpt: write: %v", err)
	}
	var list extent.List
	for _, piece := range w.pieces {
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

// diskfs is the table in the terms of go-diskfs, with nothing left for it to make up.
func (t Table) diskfs() *gpt.Table {
	d := &gpt.Table{
		LogicalSectorSize:  int(t.SectorSize),
		PhysicalSectorSize: int(t.SectorSize),
		GUID:               t.DiskGUID.String(),
		ProtectiveMBR:      true,
	}
	for i, p := range t.Partitions {
		if p == (Partition{}) {
			continue
		}
		d.Partitions = append(d.Partitions, &gpt.Partition{
			Index: i + 1,
			Start: uint64(p.Start),
			End:   uint64(p.Start + p.Sectors - 1),
			Size:  uint64(p.Sectors * t.SectorSize),
			Type:  gpt.Type(strings.ToUpper(p.Type.String())),
			Name:  p.Name,
			GUID:  p.UUID.String(), Attributes: p.Attributes,
		})
	}
	return d
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

// writes is a disk that keeps what is written to it, piece by piece, and nothing else.
type writes struct {
	backend.WritableFile // nil: a table is written with WriteAt alone
	pieces               []piece
}

type piece struct {
	off   int64
	bytes []byte
}

// WriteAt implements io.WriterAt.
func (w *writes) WriteAt(p []byte, off int64) (int, error) {
	w.pieces = append(w.pieces, piece{off, bytes.Clone(p)})
	return len(p), nil
}

// guard turns a panic of the library into an error.
func guard(call func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("go-diskfs: %v", r)
		}
	}()
	return call()
}
