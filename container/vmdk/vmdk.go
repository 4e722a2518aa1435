// Package vmdk writes and reads VMware's disk format in one file (VMware, Virtual Disk Format 5.0): the sparse form, in which grains with
// data can be written at any time, and the stream-optimised form, whose grains are compressed and come in order.
package vmdk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"imprint/internal/pieces"
)

const (
	magic     = "KDMV"
	sector    = 512
	grain     = 64 << 10 // bytes of the disk
	perTable  = 512      // grains in a table
	reach     = perTable * grain
	tableSize = perTable * 4

	descriptorAt   = 1  // sector
	descriptorSize = 20 // sectors

	flagNewLine     = 1 << 0
	flagRedundant   = 1 << 1
	flagCompressed  = 1 << 16
	flagMarkers     = 1 << 17
	compressDeflate = 1
	atEnd           = 1<<64 - 1 // the offset of the directory is in the footer

	overhead = 128 // sectors of a stream before the first grain

	// MaxSize is the size in bytes of the largest disk in one file: offsets are 32-bit numbers of sectors, so the file may have 2 TiB, some of it
	// for structures.
	MaxSize = 2<<40 - 4<<30
)

// Size returns the size in bytes of the disk in the file: the given size rounded up to whole grains. Zeros fill the rest.
func Size(size int64) int64 { return (size + grain - 1) / grain * grain }

// Check returns an error if a disk of that size in bytes is too large.
func Check(size int64) error {
	if size > MaxSize {
		return fmt.Errorf("a VMDK in one file has at most %d bytes, and the disk has %d", int64(MaxSize), size)
	}
	return nil
}

// sectors returns the number of sectors that n bytes take.
func sectors(n int64) int64 { return (n + sector - 1) / sector }

// capacity returns the size of the disk in sectors, rounded up to whole grains.
func capacity(d pieces.Disk) int64 { return Size(d.Size) / sector }

// tables returns the number of grain tables of a disk.
func tables(d pieces.Disk) int64 { return (capacity(d)*sector + reach - 1) / reach }

// header returns the header of a file, of version 1, or of 3 for a stream.
func header(d pieces.Disk, version, flags uint32, redundant, directory uint64, overhead int64) []byte {
	h := make([]byte, sector)
	le := binary.LittleEndian
	copy(h, magic)
	le.PutUint32(h[4:], version)
	le.PutUint32(h[8:], flags)
	le.PutUint64(h[12:], uint64(capacity(d)))
	le.PutUint64(h[20:], grain/sector)
	le.PutUint64(h[28:], descriptorAt)
	le.PutUint64(h[36:], descriptorSize)
	le.PutUint32(h[44:], perTable)
	le.PutUint64(h[48:], redundant)
	le.PutUint64(h[56:], directory)
	le.PutUint64(h[64:], uint64(overhead))
	copy(h[73:], "\n \r\n") // detects transfers that have converted line ends
	if flags&flagCompressed != 0 {
		le.PutUint16(h[77:], compressDeflate)
	}
	return h
}

// descriptor returns the text that describes the disk, padded to descriptorSize sectors.
func descriptor(d pieces.Disk, kind string) []byte {
	id := d.ID("vmdk")
	cylinders := min(capacity(d)/(255*63), 65535)
	text := fmt.Sprintf(`# Disk DescriptorFile
version=1
CID=%08x
parentCID=ffffffff
createType=%q

# Extent description
RW %d SPARSE "disk.vmdk"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "%d"
ddb.geometry.heads = "255"
ddb.geometry.sectors = "63"
ddb.uuid = "%s"
`, crc32.ChecksumIEEE(id[:])|1, kind, capacity(d), cylinders, spaced(id))
	p := make([]byte, descriptorSize*sector)
	copy(p, text)
	return p
}

// spaced returns an identifier in VMware's form: "60 00 C2 9e 1a 2b 3c 4d-…".
func spaced(id [16]byte) string {
	text := fmt.Sprintf("% x", id[:])
	return text[:23] + "-" + text[24:]
}

// sparse is the sparse form: header, descriptor, two copies of directory and tables, and grains.
type sparse struct {
	file  pieces.File
	disk  pieces.Disk
	slots *pieces.Slots
	at    [2]int64 // offsets of the directories; the tables follow each
}

// Sparse returns a writer of a "monolithicSparse" disk.
func Sparse(f pieces.File, d pieces.Disk) pieces.Writer {
	w := &sparse{file: f, disk: d}
	each := sectors(tables(d)*4)*sector + tables(d)*tableSize
	w.at[0] = (descriptorAt + descriptorSize) * sector
	w.at[1] = w.at[0] + each
	w.slots = pieces.NewSlots(d, f, (w.at[1]+each+grain-1)/grain*grain, grain, nil)
	return w
}

// Put implements pieces.Writer.
func (w *sparse) Put(n int64, content []byte) error { return w.slots.Put(n, content) }

// Close implements pieces.Writer.
func (w *sparse) Close() error {
	if err := w.file.Truncate(w.slots.End()); err != nil {
		return err
	}
	for _, at := range w.at {
		if err := w.tables(at); err != nil {
			return err
		}
	}
	h := header(w.disk, 1, flagNewLine|flagRedundant, uint64(w.at[0]/sector), uint64(w.at[1]/sector), w.slots.Start()/sector)
	_, err := w.file.WriteAt(append(h, descriptor(w.disk, "monolithicSparse")...), 0)
	return err
}

// tables writes a directory and its tables.
func (w *sparse) tables(at int64) error {
	n := tables(w.disk)
	first := at + sectors(n*4)*sector
	directory, table := make([]byte, sectors(n*4)*sector), make([]byte, tableSize)
	for t := range n {
		binary.LittleEndian.PutUint32(directory[t*4:], uint32((first+t*tableSize)/sector))
		clear(table)
		for k := range int64(perTable) {
			if g := t*perTable + k; g*grain < w.disk.Size {
				if off, ok := w.slots.At(g); ok {
					binary.LittleEndian.PutUint32(table[k*4:], uint32(off/sector))
				}
			}
		}
		if err := pieces.WriteData(w.file, table, first+t*tableSize, tableSize); err != nil {
			return err
		}
	}
	_, err := w.file.WriteAt(directory, at)
	return err
}
