// Package vhd writes and reads the disk format of Virtual PC, which Azure and Hyper-V accept (Microsoft, Virtual Hard Disk Image Format
// Specification, version 1.0): fixed disks, which are the disk and a footer, and dynamic ones, which store only blocks with data.
package vhd

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"imprint/internal/pieces"
)

const (
	cookie     = "conectix"
	footerSize = 512
	sector     = 512

	typeFixed   = 2
	typeDynamic = 3

	dynamicCookie = "cxsparse"
	dynamicSize   = 1024
	tableAt       = footerSize + dynamicSize
	block         = 2 << 20 // bytes of the disk in each block of a dynamic disk
	bitmapSize    = block / sector / 8
	absent        = 1<<32 - 1 // in the table
	none          = 1<<64 - 1 // an offset

	// MaxSize is the size in bytes of the largest disk: 2040 GiB.
	MaxSize = 2040 << 30
	mib     = 1 << 20
)

// Size returns the size in bytes of the disk in the file: the given size rounded up to whole MiB, which Azure requires. Zeros fill the rest.
func Size(size int64) int64 { return (size + mib - 1) / mib * mib }

// Check returns an error if a disk of that size in bytes is too large.
func Check(size int64) error {
	if Size(size) > MaxSize {
		return fmt.Errorf("a VHD has at most %d bytes, and the disk has %d", int64(MaxSize), size)
	}
	return nil
}

// footer returns the footer of a disk of size bytes. Its time is 0, the start of the year 2000, so that the file is reproducible.
func footer(d pieces.Disk, size int64, kind uint32, next uint64) []byte {
	f := make([]byte, footerSize)
	be := binary.BigEndian
	copy(f, cookie)
	be.PutUint32(f[8:], 2) // features: always set
	be.PutUint32(f[12:], 1<<16)
	be.PutUint64(f[16:], next)
	// Some readers take the size from the geometry, which cannot express most sizes, unless the creator is known to fill the size field.
	// This creator is Hyper-V's.
	copy(f[28:], "win ")
	be.PutUint32(f[32:], 10<<16)
	copy(f[36:], "Wi2k")
	be.PutUint64(f[40:], uint64(size))
	be.PutUint64(f[48:], uint64(size))
	be.PutUint32(f[56:], geometry(size/sector))
	be.PutUint32(f[60:], kind)
	id := d.ID("vhd")
	copy(f[68:], id[:])
	be.PutUint32(f[64:], checksum(f))
	return f
}

// checksum returns the complement of the sum of all bytes.
func checksum(p []byte) uint32 {
	sum := uint32(0)
	for _, b := range p {
		sum += uint32(b)
	}
	return ^sum
}

// geometry returns cylinders, heads and sectors of a disk of total sectors, by the algorithm of the specification's appendix "CHS Calculation",
// whose constants are the limits of BIOS and IDE. They need not multiply to total.
func geometry(total int64) uint32 {
	total = min(total, 65535*16*255)
	var heads, sectors, tracks int64
	if total >= 65535*16*63 {
		sectors, heads, tracks = 255, 16, total/255
	} else {
		sectors = 17
		tracks = total / sectors
		heads = max(4, (tracks+1023)/1024)
		if tracks >= heads*1024 || heads > 16 {
			sectors, heads = 31, 16
			tracks = total / sectors
		}
		if tracks >= heads*1024 {
			sectors, heads = 63, 16
			tracks = total / sectors
		}
	}
	return uint32(tracks/heads)<<16 | uint32(heads)<<8 | uint32(sectors)
}

// Fixed returns a writer of a fixed disk. Blocks of zeros stay holes of the file.
func Fixed(f pieces.File, d pieces.Disk) pieces.Writer { return &fixed{f, d} }

type fixed struct {
	file pieces.File
	disk pieces.Disk
}

// grain is the size in bytes of the aligned blocks that become holes if they are zero.
const grain = 64 << 10

// Put implements pieces.Writer.
func (w *fixed) Put(n int64, content []byte) error {
	return pieces.WriteData(w.file, content, n*w.disk.Piece, grain)
}

// Close implements pieces.Writer.
func (w *fixed) Close() error {
	size := Size(w.disk.Size)
	_, err := w.file.WriteAt(footer(w.disk, size, typeFixed, none), size)
	return err
}

// Dynamic returns a writer of a dynamic disk. The pieces of the disk must consist of whole blocks.
func Dynamic(f pieces.File, d pieces.Disk) pieces.Writer {
	w := &dynamic{file: f, disk: d, blocks: Size(d.Size) / block}
	if Size(d.Size)%block != 0 {
		w.blocks++
	}
	start := (tableAt + w.blocks*4 + sector - 1) / sector * sector
	w.slots = pieces.NewSlots(d, f, start, block, bytes.Repeat([]byte{0xff}, bitmapSize))
	return w
}

type dynamic struct {
	file   pieces.File
	disk   pieces.Disk
	blocks int64
	slots  *pieces.Slots
}

// Put implements pieces.Writer.
func (w *dynamic) Put(n int64, content []byte) error { return w.slots.Put(n, content) }

// Close implements pieces.Writer.
func (w *dynamic) Close() error {
	be := binary.BigEndian
	table := make([]byte, (w.blocks*4+sector-1)/sector*sector)
	for i := range table {
		table[i] = 0xff
	}
	for b := range w.blocks {
		if b*block >= w.disk.Size {
			break // the zeros that fill the last MiB
		}
		if off, ok := w.slots.At(b); ok {
			be.PutUint32(table[b*4:], uint32(off/sector))
		}
	}
	h := make([]byte, dynamicSize)
	copy(h, dynamicCookie)
	be.PutUint64(h[8:], none)
	be.PutUint64(h[16:], tableAt)
	be.PutUint32(h[24:], 1<<16)
	be.PutUint32(h[28:], uint32(w.blocks))
	be.PutUint32(h[32:], block)
	be.PutUint32(h[36:], checksum(h))
	foot := footer(w.disk, Size(w.disk.Size), typeDynamic, footerSize)
	start := append(append(append([]byte(nil), foot...), h...), table...)
	if _, err := w.file.WriteAt(start, 0); err != nil {
		return err
	}
	_, err := w.file.WriteAt(foot, w.slots.End())
	return err
}
