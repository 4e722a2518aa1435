package vmdk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"strings"

	"imprint/internal/pieces"
)

// Limits of the reader.
const (
	mostGrain      = 32 << 20 / sector // sectors
	mostPerTable   = 1 << 16
	mostDescriptor = 128 // sectors
	zlibHead       = 2
	zlibTail       = 4
)

// An Unpack fills dst from its raw deflated form. It is called from several goroutines.
type Unpack func(dst, stored []byte) error

// Open opens a disk in one file, sparse or stream-optimised.
func Open(file io.ReaderAt, size int64, unpack Unpack) (*pieces.Image, error) {
	h := make([]byte, sector)
	if err := pieces.ReadFull(file, h, 0); err != nil || string(h[:4]) != magic {
		return nil, errors.New("not a VMDK")
	}
	le := binary.LittleEndian
	if err := checkDescriptor(file, le.Uint64(h[28:]), le.Uint64(h[36:])); err != nil {
		return nil, err
	}
	if le.Uint64(h[56:]) == atEnd { // the footer is the last sector but one
		if size < 2*sector || pieces.ReadFull(file, h, size-2*sector) != nil || string(h[:4]) != magic {
			return nil, errors.New("the stream has no footer")
		}
	}
	g := &grains{file: file, grain: int64(le.Uint64(h[20:])), perTable: int64(le.Uint32(h[44:])), directory: int64(le.Uint64(h[56:])), unpack: unpack}
	capacity, flags := le.Uint64(h[12:]), le.Uint32(h[8:])
	g.packed = flags&flagCompressed != 0
	switch {
	case g.grain < 1 || g.grain > mostGrain || g.grain&(g.grain-1) != 0 || g.perTable < 1 || g.perTable > mostPerTable:
		return nil, fmt.Errorf("grains of %d sectors in tables of %d are not valid", g.grain, g.perTable)
	case g.directory < 0 || g.directory > size/sector:
		return nil, errors.New("the directory of grains is not in the file")
	case g.packed && le.Uint16(h[77:]) != compressDeflate:
		return nil, fmt.Errorf("compression %d is not supported", le.Uint16(h[77:]))
	case capacity > pieces.MaxSize/sector:
		return nil, fmt.Errorf("the disk has %d sectors; at most %d are read", capacity, int64(pieces.MaxSize/sector))
	}
	return pieces.NewImage(file, int64(capacity)*sector, g)
}

// checkDescriptor returns an error if the file is only a part of a disk.
func checkDescriptor(file io.ReaderAt, at, size uint64) error {
	if at == 0 || at > mostDescriptor || size == 0 || size > mostDescriptor {
		return errors.New("the file has no descriptor: it is one of several that make up a disk")
	}
	text := make([]byte, size*sector)
	if err := pieces.ReadFull(file, text, int64(at)*sector); err != nil {
		return fmt.Errorf("the descriptor is not in the file: %w", err)
	}
	parent := ""
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(key) == "parentCID" {
			parent = strings.ToLower(strings.TrimSpace(value))
		}
	}
	if parent != "ffffffff" {
		return fmt.Errorf("the disk has a parent %.20q, without which it is not complete", parent)
	}
	return nil
}

// grains finds the grains of a file by reading the tables in it, without caching them.
type grains struct {
	file      io.ReaderAt
	grain     int64 // sectors
	perTable  int64
	directory int64 // sector
	packed    bool
	unpack    Unpack
}

// Span implements pieces.Map.
func (g *grains) Span(off int64) (s pieces.Span, err error) {
	size := g.grain * sector
	n := off / size
	table, err := g.entry(g.directory*sector + n/g.perTable*4)
	if err != nil {
		return s, err
	}
	if reach := g.perTable * size; table == 0 {
		return pieces.Span{Off: off / reach * reach, Len: reach}, nil
	}
	at, err := g.entry(table*sector + n%g.perTable*4)
	if err != nil {
		return s, err
	}
	s = pieces.Span{Off: n * size, Len: size, At: at * sector}
	switch {
	case at <= 1: // 1 means zeros
		s.At = 0
	case !g.packed:
		s.Kind = pieces.Plain
	default:
		head := make([]byte, grainHead)
		if err := pieces.ReadFull(g.file, head, s.At); err != nil {
			return s, err
		}
		s.Kind, s.At, s.Stored = pieces.Packed, s.At+grainHead, int64(binary.LittleEndian.Uint32(head[8:]))
		if first := binary.LittleEndian.Uint64(head); first != uint64(n*g.grain) {
			return s, fmt.Errorf("the grain at %d is of sector %d, want %d", at*sector, first, n*g.grain)
		}
	}
	return s, nil
}

// entry reads an entry of a directory or table.
func (g *grains) entry(off int64) (int64, error) {
	p := make([]byte, 4)
	if err := pieces.ReadFull(g.file, p, off); err != nil {
		return 0, fmt.Errorf("a table of grains is not in the file: %w", err)
	}
	return int64(binary.LittleEndian.Uint32(p)), nil
}

// Unpack implements pieces.Map.
func (g *grains) Unpack(_ pieces.Span, dst, stored []byte) error {
	if len(stored) < zlibHead+zlibTail {
		return errors.New("a grain is cut short")
	}
	if err := g.unpack(dst, stored[zlibHead:]); err != nil {
		return err
	}
	if adler32.Checksum(dst) != binary.BigEndian.Uint32(stored[len(stored)-zlibTail:]) {
		return errors.New("the checksum of a grain is wrong")
	}
	return nil
}
