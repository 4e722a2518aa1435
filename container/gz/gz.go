// Package gz writes a disk as gzip members (RFC 1952), one for each piece, which any gunzip reads as one file. Each member has its own length
// in an extra field, so that members are found without expanding them, and the disk can be read at any offset.
package gz

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"imprint/internal/pieces"
)

const (
	headSize  = 10 + 2 + extraSize
	extraSize = 4 + fieldSize
	fieldSize = 4 // the length of the member in bytes
	tailSize  = 8

	deflate  = 8
	hasExtra = 1 << 2
	unknown  = 255 // operating system

	maxMembers = 1 << 22 // limit of the reader: 16 TiB in members of 4 MiB
)

// field is the name of the extra field.
const field = "IP"

// head is the beginning of a member, before its length.
var head = []byte{0x1f, 0x8b, deflate, hasExtra, 0, 0, 0, 0, 0, unknown, extraSize, 0, field[0], field[1], fieldSize, 0}

// A Pack appends the raw deflated form of a part of the disk to dst. It is called from several goroutines.
type Pack func(dst, part []byte) ([]byte, error)

// Create returns a writer.
func Create(to pieces.Sink, d pieces.Disk, pack Pack) pieces.Writer {
	end := int64(0)
	place := func(_, size int64) int64 {
		end += size
		return end - size
	}
	make := func(dst, part []byte) ([]byte, error) { return Member(dst, part, pack) }
	return pieces.NewOrdered(d, to, pieces.Packing{Pack: make, Place: place})
}

// Member appends a member with a part to dst, which is empty.
func Member(dst, part []byte, pack Pack) ([]byte, error) {
	dst = append(dst, head...)
	dst, err := pack(append(dst, 0, 0, 0, 0), part)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, crc32.ChecksumIEEE(part))
	dst = le.AppendUint32(dst, uint32(len(part)))
	le.PutUint32(dst[len(head):], uint32(len(dst)))
	return dst, nil
}

// ErrNoLengths is returned for a file whose members have no length field, so that it can only be read from its start.
var ErrNoLengths = errors.New("the members of the gzip file do not say where the next one begins")

// An Unpack fills dst from its deflated form. It is called from several goroutines.
type Unpack func(dst, stored []byte) error

// Open opens a file that was made by Create.
func Open(file io.ReaderAt, size int64, unpack Unpack) (*pieces.Image, error) {
	m := &members{unpack: unpack}
	var start, end [headSize]byte
	disk := int64(0)
	for at := int64(0); at < size; {
		if len(m.list) == maxMembers {
			return nil, fmt.Errorf("there are more than %d members", maxMembers)
		}
		if err := pieces.ReadFull(file, start[:], at); err != nil || string(start[:len(head)]) != string(head) {
			return nil, ErrNoLengths
		}
		n := int64(binary.LittleEndian.Uint32(start[len(head):]))
		if n < headSize+tailSize || n > size-at {
			return nil, fmt.Errorf("the member at %d has %d bytes", at, n)
		}
		if err := pieces.ReadFull(file, end[:tailSize], at+n-tailSize); err != nil {
			return nil, err
		}
		bytes := int64(binary.LittleEndian.Uint32(end[4:]))
		if each := m.each(); bytes == 0 || bytes > pieces.MaxSpan || bytes > each || len(m.list) > 0 && m.list[len(m.list)-1].bytes < each {
			return nil, fmt.Errorf("the member at %d has a part of %d bytes", at, bytes)
		}
		m.list = append(m.list, location{at, n, bytes})
		at += n
		disk += bytes
	}
	return pieces.NewImage(file, disk, m)
}

// members lists the members of a file. All but the last have parts of equal size.
type members struct {
	list   []location
	unpack Unpack
}

// A location is the place of a part of the disk in the file.
type location struct {
	at, len int64
	bytes   int64 // of the disk
}

// each returns the size of the parts.
func (m *members) each() int64 {
	if len(m.list) == 0 {
		return pieces.MaxSpan
	}
	return m.list[0].bytes
}

// Span implements pieces.Map.
func (m *members) Span(off int64) (pieces.Span, error) {
	i := off / m.each()
	p := m.list[i]
	return pieces.Span{Off: i * m.each(), Len: p.bytes, Kind: pieces.Packed, At: p.at + headSize, Stored: p.len - headSize}, nil
}

// Unpack implements pieces.Map. The member's checksum follows its data.
func (m *members) Unpack(_ pieces.Span, dst, stored []byte) error {
	if err := m.unpack(dst, stored); err != nil {
		return err
	}
	if crc32.ChecksumIEEE(dst) != binary.LittleEndian.Uint32(stored[len(stored)-tailSize:]) {
		return errors.New("the checksum of a gzip member is wrong")
	}
	return nil
}
