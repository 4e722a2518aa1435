// Package zst writes and reads a disk as zstd frames, one for each piece, with the seek table of the seekable format (zstd,
// contrib/seekable_format/zstd_seekable_compression_format.md), which other decoders skip.
package zst

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"

	"imprint/internal/pieces"
)

const (
	skippable = 0x184d2a5e
	seekable  = 0x8f92eab1
	headSize  = 8 // of a skippable frame
	footSize  = 9 // of a seek table
	entrySize = 8
	sumSize   = 4       // more in an entry with a checksum
	withSums  = 1 << 7  // in the descriptor
	reserved  = 0x7c    // likewise
	maxFrames = 1 << 22 // limit of the reader: 16 TiB in frames of 4 MiB
)

// A Pack appends a zstd frame with a part of the disk to dst. It is called from several goroutines.
type Pack func(dst, part []byte) ([]byte, error)

// Create returns a writer.
func Create(to pieces.Sink, d pieces.Disk, pack Pack) pieces.Writer {
	w := &writer{disk: d, file: to.File}
	return pieces.NewOrdered(d, to, pieces.Packing{Pack: pack, Place: w.place, Close: w.close})
}

type writer struct {
	disk  pieces.Disk
	file  pieces.File
	end   int64
	table []byte
}

// place is pieces.Packing.Place.
func (w *writer) place(n, size int64) (off int64) {
	off = w.end
	w.end += size
	w.table = binary.LittleEndian.AppendUint32(w.table, uint32(size))
	w.table = binary.LittleEndian.AppendUint32(w.table, uint32(w.disk.Len(n)))
	return off
}

// close writes the seek table.
func (w *writer) close() error {
	le := binary.LittleEndian
	t := le.AppendUint32(nil, skippable)
	t = le.AppendUint32(t, uint32(len(w.table)+footSize))
	t = append(t, w.table...)
	t = le.AppendUint32(t, uint32(len(w.table)/entrySize))
	t = append(t, 0)
	t = le.AppendUint32(t, seekable)
	_, err := w.file.WriteAt(t, w.end)
	return err
}

// An Unpack fills dst from a frame. It is called from several goroutines.
type Unpack func(dst, frame []byte) error

// ErrNoTable is returned for a file that can only be read from its start.
var ErrNoTable = errors.New("the zstd file has no seek table")

// Open opens a file with a seek table.
func Open(file io.ReaderAt, size int64, unpack Unpack) (*pieces.Image, error) {
	foot := make([]byte, footSize)
	if _, err := file.ReadAt(foot, size-footSize); size < footSize || err != nil && err != io.EOF {
		return nil, ErrNoTable
	}
	le := binary.LittleEndian
	if le.Uint32(foot[5:]) != seekable {
		return nil, ErrNoTable
	}
	each, n := int64(entrySize), int64(le.Uint32(foot))
	if foot[4]&withSums != 0 {
		each += sumSize
	}
	whole := headSize + n*each + footSize
	if foot[4]&reserved != 0 || n > maxFrames || whole > size {
		return nil, fmt.Errorf("the seek table of %d frames is not valid", n)
	}
	table := make([]byte, whole)
	if _, err := file.ReadAt(table, size-whole); err != nil && err != io.EOF {
		return nil, err
	}
	if le.Uint32(table) != skippable || int64(le.Uint32(table[4:])) != whole-headSize {
		return nil, errors.New("the seek table is not a skippable frame")
	}
	m := frames{unpack: unpack, list: make([]frame, 0, n+1)}
	at := frame{}
	for ; n > 0; n-- {
		entry := table[headSize+int64(len(m.list))*each:]
		m.list = append(m.list, at)
		at.at += int64(le.Uint32(entry))
		at.off += int64(le.Uint32(entry[4:]))
	}
	m.list = append(m.list, at)
	if at.at != size-whole {
		return nil, fmt.Errorf("the seek table is of %d bytes of frames, and there are %d", at.at, size-whole)
	}
	return pieces.NewImage(file, at.off, &m)
}

// frames lists the frames of a file.
type frames struct {
	list   []frame // and a last element for the end
	unpack Unpack
}

// A frame holds the offsets of the start of a frame.
type frame struct {
	at  int64 // in the file
	off int64 // in the disk
}

// Span implements pieces.Map.
func (f *frames) Span(off int64) (pieces.Span, error) {
	i := sort.Search(len(f.list), func(i int) bool { return f.list[i].off > off })
	if i == 0 || i == len(f.list) {
		return pieces.Span{}, fmt.Errorf("there is no frame with byte %d", off)
	}
	a, b := f.list[i-1], f.list[i]
	return pieces.Span{Off: a.off, Len: b.off - a.off, Kind: pieces.Packed, At: a.at, Stored: b.at - a.at}, nil
}

// Unpack implements pieces.Map.
func (f *frames) Unpack(_ pieces.Span, dst, frame []byte) error { return f.unpack(dst, frame) }

// Check returns an error for a disk that has too many pieces for a seek table.
func Check(d pieces.Disk) error {
	if d.Count() > min(maxFrames, math.MaxUint32/entrySize-1) {
		return fmt.Errorf("a disk of %d bytes has too many pieces for a seek table", d.Size)
	}
	return nil
}
