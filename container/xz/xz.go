// Package xz writes a disk as xz streams (The .xz File Format, version 1.2.1), one for each piece, and reads files of several streams or blocks
// at any offset: the indexes of the streams have the sizes of their blocks.
package xz

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sort"

	"imprint/internal/pieces"
)

const (
	magic      = "\xfd7zXZ\x00"
	footMagic  = "YZ"
	headSize   = 12
	footSize   = 12
	word       = 4 // everything is a multiple of this
	maxBlocks  = 1 << 22
	maxStreams = 1 << 22
	maxIndex   = 64 << 20 // bytes
	maxPadding = 1 << 12  // words after streams
	maxNumber  = 9        // bytes of a number
)

// A Pack appends a stream with a part of the disk to dst. It is called from several goroutines.
type Pack func(dst, part []byte) ([]byte, error)

// Create returns a writer.
func Create(to pieces.Sink, d pieces.Disk, pack Pack) pieces.Writer {
	end := int64(0)
	place := func(_, size int64) int64 {
		end += size
		return end - size
	}
	return pieces.NewOrdered(d, to, pieces.Packing{Pack: pack, Place: place})
}

// ErrLarge is returned for a file with blocks that are too large to be read at once. With one thread, xz(1) makes one block of a whole file.
var ErrLarge = errors.New("the xz file has blocks of more than 64 MiB")

// An Unpack fills dst from a stream. It is called from several goroutines.
type Unpack func(dst, stream []byte) error

// Open opens a file. It reads the indexes backwards, since each stream ends with the size of its index.
func Open(file io.ReaderAt, size int64, unpack Unpack) (*pieces.Image, error) {
	b := &blocks{unpack: unpack}
	streams, padding := 0, int64(0)
	for end := size; end > 0; {
		streams++
		start, err := b.stream(file, end)
		if end-start == word {
			padding++
		}
		switch {
		case err != nil:
			return nil, err
		case padding > maxPadding:
			return nil, fmt.Errorf("more than %d bytes of padding follow streams", maxPadding*word)
		case streams > maxStreams || len(b.list) > maxBlocks:
			return nil, fmt.Errorf("there are more than %d streams or %d blocks", maxStreams, maxBlocks)
		}
		end = start
	}
	slices.Reverse(b.list)
	off := int64(0)
	for i := range b.list {
		b.list[i].off = off
		if off += b.list[i].len; off > pieces.MaxSize {
			return nil, fmt.Errorf("the disk has more than %d bytes", int64(pieces.MaxSize))
		}
	}
	return pieces.NewImage(file, off, b)
}

// blocks lists the blocks of a file. While it is opened, the last ones come first.
type blocks struct {
	unpack Unpack
	flags  [2]byte // of all streams
	list   []block
}

// A block is the place of a part of the disk in the file.
type block struct {
	off, len int64 // of the disk
	at       int64
	unpadded int64 // bytes in the file, without padding
}

// stored returns the number of bytes that the block takes in the file.
func (b block) stored() int64 { return (b.unpadded + word - 1) / word * word }

// find returns the block with a byte of the disk.
func (b *blocks) find(off int64) (block, error) {
	i := sort.Search(len(b.list), func(i int) bool { return b.list[i].off+b.list[i].len > off })
	if i == len(b.list) {
		return block{}, fmt.Errorf("there is no block with byte %d", off)
	}
	return b.list[i], nil
}

// stream reads the index of the stream that ends at end, and returns the offset of the stream.
func (b *blocks) stream(file io.ReaderAt, end int64) (start int64, err error) {
	foot := make([]byte, footSize)
	if err := pieces.ReadFull(file, foot, end-footSize); end < headSize+footSize || err != nil {
		return 0, errors.New("a stream is cut short")
	}
	if pieces.IsZero(foot[footSize-word:]) {
		return end - word, nil // padding after a stream
	}
	le := binary.LittleEndian
	if string(foot[10:]) != footMagic || crc32.ChecksumIEEE(foot[4:10]) != le.Uint32(foot) {
		return 0, errors.New("a stream has no valid end")
	}
	size := (int64(le.Uint32(foot[4:])) + 1) * word
	at := end - footSize - size
	list, total, err := readIndex(file, at, size)
	if err != nil {
		return 0, err
	}
	if len(b.list) > 0 && b.flags != [2]byte(foot[8:]) {
		return 0, errors.New("streams differ in their checks")
	}
	b.flags = [2]byte(foot[8:])
	if start = at - total - headSize; start < 0 {
		return 0, errors.New("the blocks of a stream do not fit into the file")
	}
	head := make([]byte, len(magic))
	if err := pieces.ReadFull(file, head, start); err != nil || string(head) != magic {
		return 0, errors.New("a stream has no valid start")
	}
	next := start + headSize
	for i := range list {
		list[i].at = next
		next += list[i].stored()
	}
	slices.Reverse(list)
	b.list = append(b.list, list...)
	return start, nil
}

// readIndex reads an index of size bytes.
func readIndex(file io.ReaderAt, at, size int64) (list []block, total int64, err error) {
	if size > maxIndex || at < headSize {
		return nil, 0, fmt.Errorf("the index of a stream has %d bytes", size)
	}
	index := make([]byte, size)
	if err := pieces.ReadFull(file, index, at); err != nil {
		return nil, 0, err
	}
	return records(index)
}

// records returns the blocks of an index, and the total of bytes that they take in the file.
func records(index []byte) (list []block, total int64, err error) {
	wrong := errors.New("the index of a stream is not valid")
	end := len(index) - word
	if index[0] != 0 || crc32.ChecksumIEEE(index[:end]) != binary.LittleEndian.Uint32(index[end:]) {
		return nil, 0, wrong
	}
	rest := index[1:end]
	number := func() int64 {
		n, k := binary.Uvarint(rest[:min(len(rest), maxNumber)])
		if k <= 0 {
			err = wrong
			return 0
		}
		rest = rest[k:]
		return int64(n)
	}
	for n := number(); n > 0 && err == nil; n-- {
		b := block{unpadded: number(), len: number()}
		switch {
		case err != nil:
		case b.unpadded <= 0 || b.unpadded > 1<<50 || total > 1<<50 || len(list) > maxBlocks:
			err = wrong
		case b.len > pieces.MaxSpan:
			err = ErrLarge
		}
		total += b.stored()
		if b.len > 0 {
			list = append(list, b)
		} else if err == nil {
			err = errors.New("a block is empty")
		}
	}
	return list, total, err
}

// Span implements pieces.Map.
func (b *blocks) Span(off int64) (pieces.Span, error) {
	p, err := b.find(off)
	return pieces.Span{Off: p.off, Len: p.len, Kind: pieces.Packed, At: p.at, Stored: p.stored()}, err
}

// Unpack implements pieces.Map. It makes the block a stream of its own, which decoders accept and verify.
func (b *blocks) Unpack(span pieces.Span, dst, stored []byte) error {
	p, err := b.find(span.Off)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	s := append(make([]byte, 0, len(stored)+100), magic...)
	s = le.AppendUint32(append(s, b.flags[:]...), crc32.ChecksumIEEE(b.flags[:]))
	s = append(s, stored...)
	index := binary.AppendUvarint(binary.AppendUvarint([]byte{0, 1}, uint64(p.unpadded)), uint64(p.len))
	index = pad(index)
	s = le.AppendUint32(append(s, index...), crc32.ChecksumIEEE(index))
	foot := append(le.AppendUint32(nil, uint32(len(index)/word)), b.flags[:]...)
	s = le.AppendUint32(s, crc32.ChecksumIEEE(foot))
	s = append(append(s, foot...), footMagic...)
	return b.unpack(dst, s)
}

// pad appends zeros up to a multiple of a word.
func pad(p []byte) []byte {
	for len(p)%word != 0 {
		p = append(p, 0)
	}
	return p
}
