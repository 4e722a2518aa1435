// Package vhdx writes and reads Hyper-V's disk format (Microsoft, MS-VHDX): dynamic disks without a parent.
package vhdx

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strings"
	"unicode/utf16"

	"imprint/internal/pieces"
)

const (
	kib = 1 << 10
	mib = 1 << 20

	signature  = "vhdxfile"
	creatorAt  = 8
	headerSize = 4 * kib
	regionSize = 64 * kib
	tableSize  = 64 * kib // of the metadata table, before the items

	logAt, logSize           = 1 * mib, 1 * mib
	metadataAt, metadataSize = 2 * mib, 1 * mib
	batAt                    = 3 * mib

	// Hyper-V's manuals advise small blocks for file systems of Linux, which spread their structure over the disk.
	block = mib

	stateMask    = 7
	statePresent = 6
	statePartly  = 7
	physical     = 4096 // bytes of a sector

	// MaxSize is the size in bytes of the largest disk.
	MaxSize = 64 << 40
)

var (
	headersAt = [2]int64{64 * kib, 128 * kib}
	regionsAt = [2]int64{192 * kib, 256 * kib}
)

// A guid is the 16 bytes of a GUID in the file.
type guid [16]byte

// of converts a UUID to the form that Windows stores: the first three numbers are little-endian.
func of(u [16]byte) (g guid) {
	copy(g[:], u[:])
	g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7] = u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6]
	return g
}

// known converts a GUID from the text form of the specification.
func known(text string) guid {
	bytes, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil {
		panic(err)
	}
	return of([16]byte(bytes))
}

var (
	batRegion      = known("2dc27766-f623-4200-9d64-115e9bfd4a08")
	metadataRegion = known("8b7ca206-4790-4b9a-b8fe-575f050f886e")

	fileParameters = known("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
	diskSize       = known("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
	diskID         = known("beca12ab-b2e6-4523-93ef-c309e000c746")
	logicalSector  = known("8141bf1d-a96f-4709-ba47-f233a8faab5f")
	physicalSector = known("cda348c7-445d-4471-9cc9-e9885251c556")
)

// Flags of metadata items.
const (
	aboutDisk = 1 << 1
	required  = 1 << 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal puts the checksum into a structure.
func seal(p []byte) []byte {
	binary.LittleEndian.PutUint32(p[4:], 0)
	binary.LittleEndian.PutUint32(p[4:], crc32.Checksum(p, castagnoli))
	return p
}

// Check returns an error if a disk of that size in bytes is too large.
func Check(size int64) error {
	if size > MaxSize {
		return fmt.Errorf("a VHDX has at most %d bytes, and the disk has %d", int64(MaxSize), size)
	}
	return nil
}

// ratio returns the number of blocks after which the table has an entry for a bitmap: one of 1 MiB has 2^23 bits, a bit for each sector.
func ratio(sector, block int64) int64 { return (1 << 23) * sector / block }

// index returns the index of block b in the table, with the entries for bitmaps before it.
func index(b, ratio int64) int64 { return b + b/ratio }

// Create returns a writer.
func Create(f pieces.File, d pieces.Disk) pieces.Writer {
	w := &writer{file: f, disk: d, blocks: (d.Size + block - 1) / block, ratio: ratio(d.Sector, block)}
	w.batSize = ((index(w.blocks-1, w.ratio)+1)*8 + mib - 1) / mib * mib
	w.slots = pieces.NewSlots(d, f, batAt+w.batSize, block, nil)
	return w
}

type writer struct {
	file    pieces.File
	disk    pieces.Disk
	blocks  int64
	ratio   int64
	batSize int64
	slots   *pieces.Slots
}

// Put implements pieces.Writer.
func (w *writer) Put(n int64, content []byte) error { return w.slots.Put(n, content) }

// Close implements pieces.Writer.
func (w *writer) Close() error {
	if err := w.file.Truncate(w.slots.End()); err != nil {
		return err
	}
	bat := make([]byte, (index(w.blocks-1, w.ratio)+1)*8)
	for b := range w.blocks {
		if off, ok := w.slots.At(b); ok {
			binary.LittleEndian.PutUint64(bat[index(b, w.ratio)*8:], uint64(off)|statePresent)
		}
	}
	parts := map[int64][]byte{0: identifier(), metadataAt: w.metadata(), batAt: bat}
	for i, at := range headersAt {
		parts[at] = w.header(uint64(i))
	}
	for _, at := range regionsAt {
		parts[at] = w.regions()
	}
	for at, p := range parts {
		if _, err := w.file.WriteAt(p, at); err != nil {
			return err
		}
	}
	return nil
}

func identifier() []byte {
	p := make([]byte, creatorAt+512)
	copy(p, signature)
	for i, c := range utf16.Encode([]rune("imprint")) {
		binary.LittleEndian.PutUint16(p[creatorAt+2*i:], c)
	}
	return p
}

// header returns a header. The one with the higher number is in effect.
func (w *writer) header(number uint64) []byte {
	h := make([]byte, headerSize)
	le := binary.LittleEndian
	copy(h, "head")
	le.PutUint64(h[8:], number)
	file, data := of(w.disk.ID("vhdx file")), of(w.disk.ID("vhdx data"))
	copy(h[16:], file[:])
	copy(h[32:], data[:]) // the GUID of the log follows: none, since it is empty
	le.PutUint16(h[66:], 1)
	le.PutUint32(h[68:], logSize)
	le.PutUint64(h[72:], logAt)
	return seal(h)
}

func (w *writer) regions() []byte {
	p := make([]byte, regionSize)
	le := binary.LittleEndian
	copy(p, "regi")
	le.PutUint32(p[8:], 2)
	for i, r := range []struct {
		id       guid
		at, size int64
	}{{batRegion, batAt, w.batSize}, {metadataRegion, metadataAt, metadataSize}} {
		e := p[16+32*i:]
		copy(e, r.id[:])
		le.PutUint64(e[16:], uint64(r.at))
		le.PutUint32(e[24:], uint32(r.size))
		le.PutUint32(e[28:], 1) // required
	}
	return seal(p)
}

func (w *writer) metadata() []byte {
	p := make([]byte, tableSize, 2*tableSize)
	le := binary.LittleEndian
	id := of(w.disk.ID("vhdx disk"))
	items := []struct {
		id    guid
		flags uint32
		value []byte
	}{
		{fileParameters, required, le.AppendUint64(nil, block)},
		{diskSize, aboutDisk | required, le.AppendUint64(nil, uint64(w.disk.Size))},
		{diskID, aboutDisk | required, id[:]},
		{logicalSector, aboutDisk | required, le.AppendUint32(nil, uint32(w.disk.Sector))},
		{physicalSector, aboutDisk | required, le.AppendUint32(nil, physical)},
	}
	copy(p, "metadata")
	le.PutUint16(p[10:], uint16(len(items)))
	for i, item := range items {
		e := p[32+32*i:]
		copy(e, item.id[:])
		le.PutUint32(e[16:], uint32(len(p)))
		le.PutUint32(e[20:], uint32(len(item.value)))
		le.PutUint32(e[24:], item.flags)
		p = append(p, item.value...)
	}
	return p
}
