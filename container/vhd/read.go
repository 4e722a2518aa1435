package vhd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"imprint/internal/pieces"
)

// Limits of the size of blocks, in bytes.
const (
	leastBlock = 64 << 10
	mostBlock  = 256 << 20
)

// Is reports whether a file of size bytes ends with a footer.
func Is(file io.ReaderAt, size int64) bool {
	p := make([]byte, len(cookie))
	return size >= footerSize && pieces.ReadFull(file, p, size-footerSize) == nil && string(p) == cookie
}

// Open opens a fixed or dynamic disk.
func Open(file io.ReaderAt, size int64) (*pieces.Image, error) {
	f := make([]byte, footerSize)
	if !Is(file, size) {
		return nil, errors.New("not a VHD")
	}
	if err := pieces.ReadFull(file, f, size-footerSize); err != nil {
		return nil, err
	}
	be := binary.BigEndian
	bytes := be.Uint64(f[48:])
	if !valid(f, 64) {
		return nil, errors.New("the checksum of the footer is wrong")
	}
	if bytes > pieces.MaxSize {
		return nil, fmt.Errorf("the disk has %d bytes; at most %d are read", bytes, int64(pieces.MaxSize))
	}
	switch kind := be.Uint32(f[60:]); kind {
	case typeFixed:
		if int64(bytes) > size-footerSize {
			return nil, fmt.Errorf("the disk has %d bytes, and there are %d", bytes, size-footerSize)
		}
		return pieces.NewImage(file, int64(bytes), plain(bytes))
	case typeDynamic:
		m, err := openDynamic(file, be.Uint64(f[16:]), int64(bytes))
		if err != nil {
			return nil, err
		}
		return pieces.NewImage(file, int64(bytes), m)
	default:
		return nil, fmt.Errorf("disk type %d is not supported; 2 (fixed) and 3 (dynamic) are", kind)
	}
}

// valid reports whether the checksum at an offset of p is right.
func valid(p []byte, at int) bool {
	sum := binary.BigEndian.Uint32(p[at:])
	q := append([]byte(nil), p...)
	clear(q[at : at+4])
	return checksum(q) == sum
}

// plain is a fixed disk.
type plain int64

// Span implements pieces.Map.
func (p plain) Span(int64) (pieces.Span, error) {
	return pieces.Span{Len: int64(p), Kind: pieces.Plain}, nil
}

// Unpack implements pieces.Map.
func (plain) Unpack(_ pieces.Span, _, _ []byte) error { return errors.ErrUnsupported }

// blocks finds the blocks of a dynamic disk.
type blocks struct {
	file  io.ReaderAt
	table int64
	block int64
	plain
}

func openDynamic(file io.ReaderAt, header uint64, size int64) (*blocks, error) {
	h := make([]byte, dynamicSize)
	if header > 1<<62 || pieces.ReadFull(file, h, int64(header)) != nil || string(h[:8]) != dynamicCookie || !valid(h, 36) {
		return nil, errors.New("the header of the dynamic disk is not valid")
	}
	be := binary.BigEndian
	b := &blocks{file: file, table: int64(be.Uint64(h[16:])), block: int64(be.Uint32(h[32:]))}
	switch {
	case b.block < leastBlock || b.block > mostBlock || b.block&(b.block-1) != 0:
		return nil, fmt.Errorf("blocks of %d bytes are not valid", b.block)
	case b.table < 0 || b.table > 1<<62:
		return nil, errors.New("the table of blocks is not in the file")
	case int64(be.Uint32(h[28:])) < (size+b.block-1)/b.block:
		return nil, fmt.Errorf("there are %d blocks of %d bytes, too few for %d bytes", be.Uint32(h[28:]), b.block, size)
	}
	return b, nil
}

// Span implements pieces.Map.
func (b *blocks) Span(off int64) (pieces.Span, error) {
	entry := make([]byte, 4)
	if err := pieces.ReadFull(b.file, entry, b.table+off/b.block*4); err != nil {
		return pieces.Span{}, fmt.Errorf("the table of blocks is not in the file: %w", err)
	}
	s := pieces.Span{Off: off / b.block * b.block, Len: b.block}
	if at := int64(binary.BigEndian.Uint32(entry)); at != absent {
		bitmap := (b.block/sector/8 + sector - 1) / sector * sector
		s.Kind, s.At = pieces.Plain, at*sector+bitmap
	}
	return s, nil
}
