// Package pieces is the interface between disks and file formats of disks. Writers get a disk in pieces of equal size; readers locate its bytes in
// a file.
//
// Pieces arrive when they are complete, in any order and from several goroutines; the holes among them are known from the start. If the offsets
// of a format follow from the holes, pieces are placed at once ([Slots]). If they depend on the compressed length of earlier pieces, those that
// come early wait in a scratch file ([Ordered]). Either way the bytes of a file depend on the disk alone.
package pieces

import (
	"bytes"
	"io"
)

// A Disk describes the disk that a file will hold.
type Disk struct {
	Size   int64                      // bytes
	Piece  int64                      // bytes of each piece; the last one may be shorter
	Sector int64                      // bytes of a logical sector
	Hole   func(n int64) bool         // reports whether piece n is zeros, so that it is never put
	ID     func(name string) [16]byte // derives an identifier from its name, as the bytes of an RFC 9562 UUID
	Cut    func(n int64) int64        // the length of piece n in bytes, if further ones than the last may be shorter than others
}

// Count returns the number of pieces.
func (d *Disk) Count() int64 { return (d.Size + d.Piece - 1) / d.Piece }

// Len returns the length of piece n in bytes.
func (d *Disk) Len(n int64) int64 {
	if d.Cut != nil {
		return d.Cut(n)
	}
	return min(d.Piece, d.Size-n*d.Piece)
}

// Full returns the number of pieces that are not holes.
func (d *Disk) Full() (full int64) {
	for n := range d.Count() {
		if !d.Hole(n) {
			full++
		}
	}
	return full
}

// A Writer writes a file of some format.
type Writer interface {
	// Put adds piece n. It is called once for each piece that is not a hole, in any order, from several goroutines. It does not keep content.
	Put(n int64, content []byte) error
	// Close completes the file after the last Put. It does not close the file itself.
	Close() error
}

// A File is the destination of a writer. It is empty at first, and reads as zeros where nothing was written.
type File interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

var zeros [64 << 10]byte

// IsZero reports whether all bytes of p are zero. It checks the ends first, which nearly always decide.
func IsZero(p []byte) bool {
	if len(p) == 0 || p[0] != 0 || p[len(p)-1] != 0 {
		return len(p) == 0
	}
	for len(p) > len(zeros) {
		if !bytes.Equal(p[:len(zeros)], zeros[:]) {
			return false
		}
		p = p[len(zeros):]
	}
	return bytes.Equal(p, zeros[:len(p)])
}

// WriteData writes p at an offset of a file, except for the ranges of grain bytes that are zeros, which stay holes.
func WriteData(f io.WriterAt, p []byte, off, grain int64) error {
	from, size := int64(0), int64(len(p))
	for at := int64(0); at < size; at += grain {
		end := min(size, at+grain)
		if !IsZero(p[at:end]) {
			continue
		}
		if err := write(f, p[from:at], off+from); err != nil {
			return err
		}
		from = end
	}
	return write(f, p[from:], off+from)
}

func write(f io.WriterAt, p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	_, err := f.WriteAt(p, off)
	return err
}
