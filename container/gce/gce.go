// Package gce writes a disk in the format that Compute Engine imports: the file disk.raw, of whole GiB, in a GNU tar archive, compressed with
// gzip (Google Cloud, "Manually import boot disks").
//
// The archive is one gzip member, made of parts that are compressed separately, in parallel: each ends at a whole byte, and the checksum of
// the whole is combined from theirs.
package gce

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"

	"imprint/internal/pieces"
)

const (
	name   = "disk.raw"
	whole  = 1 << 30 // bytes: the size of a disk is a multiple
	record = 20 * 512
	ending = 2 * 512 // zeros that end an archive
	mode   = 0o644
)

// head and last are the start and the end of the gzip member: no name, no time, unknown system; and an empty last block (RFC 1951, 3.2.6).
var (
	head = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}
	last = []byte{3, 0}
)

// Size returns the size in bytes of the disk in the archive: the given size rounded up to whole GiB. Zeros fill the rest.
func Size(size int64) int64 { return (size + whole - 1) / whole * whole }

// A Pack appends the raw deflated form of a part to dst: it ends at a whole byte and is not marked as the last. It is called from several
// goroutines.
type Pack func(dst, part []byte) ([]byte, error)

// Create returns a writer, which writes the archive sequentially. spool is a scratch file.
func Create(w io.Writer, spool pieces.File, d pieces.Disk, pack Pack) (pieces.Writer, error) {
	a := &archive{w: w, disk: d, pack: func(dst, part []byte) ([]byte, error) {
		return pack(binary.LittleEndian.AppendUint32(dst, crc32.ChecksumIEEE(part)), part)
	}}
	a.write(head)
	var header bytes.Buffer
	err := tar.NewWriter(&header).WriteHeader(&tar.Header{Name: name, Size: Size(d.Size), Mode: mode, Format: tar.FormatGNU})
	if err == nil {
		err = a.part(header.Bytes())
	}
	return pieces.NewOrdered(d, pieces.Sink{Spool: spool}, pieces.Packing{Pack: a.pack, Emit: a.emit, Close: a.close}), err
}

// An archive is the state of writing one.
type archive struct {
	w    io.Writer
	disk pieces.Disk
	pack Pack // puts the checksum in front
	sum  uint32
	size int64 // bytes of the archive before compression
	err  error
}

func (a *archive) write(p []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(p)
	}
}

// emit writes a packed piece.
func (a *archive) emit(n int64, packed []byte) error {
	a.add(packed, a.disk.Len(n))
	return a.err
}

// add writes a packed part of size bytes.
func (a *archive) add(packed []byte, size int64) {
	a.sum = combine(a.sum, binary.LittleEndian.Uint32(packed), size)
	a.size += size
	a.write(packed[4:])
}

// part packs and writes a part.
func (a *archive) part(p []byte) error {
	packed, err := a.pack(nil, p)
	if err == nil {
		a.add(packed, int64(len(p)))
		err = a.err
	}
	return err
}

// close writes the zeros after the disk, and the ends of the archive and of the member.
func (a *archive) close() error {
	zeros := Size(a.disk.Size) - a.disk.Size + ending
	zeros += (record - (a.size+zeros)%record) % record
	all := make([]byte, min(zeros, a.disk.Piece))
	packed, err := a.pack(nil, all)
	if err != nil {
		return err
	}
	for ; zeros >= int64(len(all)); zeros -= int64(len(all)) {
		a.add(packed, int64(len(all)))
	}
	if err := a.part(all[:zeros]); err != nil {
		return err
	}
	a.write(last)
	a.write(binary.LittleEndian.AppendUint32(nil, a.sum))
	a.write(binary.LittleEndian.AppendUint32(nil, uint32(a.size)))
	return a.err
}

// combine returns the CRC-32 of two parts from those of each, where the second part has n bytes: as polynomials, first·x^8n + second.
func combine(first, second uint32, n int64) uint32 { return multiply(power(n), first) ^ second }

// Polynomials modulo that of CRC-32, with the coefficient of x^0 in the highest bit.
const (
	one = 1 << 31
	x8  = 1 << 23
)

// power returns x^8n.
func power(n int64) uint32 {
	p, square := uint32(one), uint32(x8)
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			p = multiply(p, square)
		}
		square = multiply(square, square)
	}
	return p
}

func multiply(a, b uint32) (p uint32) {
	for ; a != 0; a <<= 1 {
		if a&one != 0 {
			p ^= b
		}
		odd := b & 1
		b >>= 1
		if odd == 1 {
			b ^= crc32.IEEE
		}
	}
	return p
}
