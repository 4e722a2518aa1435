package vhdx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"imprint/internal/pieces"
)

// Limits of the reader.
const (
	mostEntries = 2047 // of a table of regions or metadata, by the specification
	mostBlock   = 256 * mib
	mostItem    = 64 // bytes: more than any known one has
)

// Open opens a dynamic or fixed disk without a parent, whose log is empty.
func Open(file io.ReaderAt, _ int64) (*pieces.Image, error) {
	p := make([]byte, len(signature))
	if err := pieces.ReadFull(file, p, 0); err != nil || string(p) != signature {
		return nil, errors.New("not a VHDX")
	}
	if err := checkHeaders(file); err != nil {
		return nil, err
	}
	regions, err := readRegions(file)
	if err != nil {
		return nil, err
	}
	m, size, err := readMetadata(file, regions[metadataRegion])
	if err != nil {
		return nil, err
	}
	m.bat = regions[batRegion]
	last := (size + m.block - 1) / m.block
	if last > 0 && (index(last-1, m.ratio)+1)*8 > m.bat.size {
		return nil, fmt.Errorf("the block table of %d bytes is too short for %d bytes", m.bat.size, size)
	}
	return pieces.NewImage(file, size, m)
}

// sealed reads a structure and checks its name and checksum.
func sealed(file io.ReaderAt, at, size int64, name string) ([]byte, bool) {
	p := make([]byte, size)
	if pieces.ReadFull(file, p, at) != nil || string(p[:len(name)]) != name {
		return nil, false
	}
	sum := binary.LittleEndian.Uint32(p[4:])
	clear(p[4:8])
	return p, crc32.Checksum(p, castagnoli) == sum
}

// checkHeaders checks the header in effect.
func checkHeaders(file io.ReaderAt) error {
	var header []byte
	for _, at := range headersAt {
		h, ok := sealed(file, at, headerSize, "head")
		if ok && (header == nil || binary.LittleEndian.Uint64(h[8:]) > binary.LittleEndian.Uint64(header[8:])) {
			header = h
		}
	}
	switch {
	case header == nil:
		return errors.New("no header is valid")
	case guid(header[48:64]) != guid{}:
		return errors.New("the log is not empty: the disk was not closed")
	}
	return nil
}

// A region is a range of the file.
type region struct{ at, size int64 }

func readRegions(file io.ReaderAt) (map[guid]region, error) {
	p, ok := sealed(file, regionsAt[0], regionSize, "regi")
	if !ok {
		p, ok = sealed(file, regionsAt[1], regionSize, "regi")
	}
	le := binary.LittleEndian
	if !ok || le.Uint32(p[8:]) > mostEntries {
		return nil, errors.New("no table of regions is valid")
	}
	regions := map[guid]region{}
	for i := range int(le.Uint32(p[8:])) {
		e := p[16+32*i:]
		r := region{int64(le.Uint64(e[16:])), int64(le.Uint32(e[24:]))}
		if r.at < 0 || r.at > 1<<62 {
			return nil, errors.New("a region is not in the file")
		}
		regions[guid(e[:16])] = r
	}
	for _, id := range []guid{batRegion, metadataRegion} {
		if regions[id].at == 0 {
			return nil, errors.New("a region is missing")
		}
	}
	return regions, nil
}

func readMetadata(file io.ReaderAt, r region) (m *blocks, size int64, err error) {
	p := make([]byte, tableSize)
	if err := pieces.ReadFull(file, p, r.at); err != nil || string(p[:8]) != "metadata" {
		return nil, 0, errors.New("there is no metadata")
	}
	le := binary.LittleEndian
	if le.Uint16(p[10:]) > mostEntries {
		return nil, 0, errors.New("the metadata is not valid")
	}
	values := map[guid][]byte{}
	for i := range int(le.Uint16(p[10:])) {
		e := p[32+32*i:]
		value := make([]byte, max(8, min(mostItem, le.Uint32(e[20:]))))
		if err := pieces.ReadFull(file, value, r.at+int64(le.Uint32(e[16:]))); err != nil {
			return nil, 0, fmt.Errorf("metadata: %w", err)
		}
		values[guid(e[:16])] = value
	}
	parameters, bytes, sector := values[fileParameters], values[diskSize], values[logicalSector]
	if parameters == nil || bytes == nil || sector == nil {
		return nil, 0, errors.New("the metadata is not complete")
	}
	m = &blocks{file: file, block: int64(le.Uint32(parameters))}
	logical, n := int64(le.Uint32(sector)), le.Uint64(bytes)
	switch {
	case le.Uint32(parameters[4:])&2 != 0:
		return nil, 0, errors.New("the disk has a parent, without which it is not complete")
	case m.block < mib || m.block > mostBlock || m.block&(m.block-1) != 0 || logical != 512 && logical != 4096:
		return nil, 0, fmt.Errorf("blocks of %d bytes in sectors of %d are not valid", m.block, logical)
	case n > pieces.MaxSize:
		return nil, 0, fmt.Errorf("the disk has %d bytes; at most %d are read", n, int64(pieces.MaxSize))
	}
	m.ratio = ratio(logical, m.block)
	return m, int64(n), nil
}

// blocks finds the blocks of a disk by reading the table in the file, without caching it.
type blocks struct {
	file  io.ReaderAt
	bat   region
	block int64
	ratio int64
}

// Span implements pieces.Map.
func (b *blocks) Span(off int64) (pieces.Span, error) {
	p := make([]byte, 8)
	if err := pieces.ReadFull(b.file, p, b.bat.at+index(off/b.block, b.ratio)*8); err != nil {
		return pieces.Span{}, fmt.Errorf("the block table: %w", err)
	}
	entry := binary.LittleEndian.Uint64(p)
	s := pieces.Span{Off: off / b.block * b.block, Len: b.block}
	switch entry & stateMask {
	case statePresent:
		s.Kind, s.At = pieces.Plain, int64(entry>>20<<20)
	case statePartly:
		return s, errors.New("a block is partly in a parent")
	}
	return s, nil
}

// Unpack implements pieces.Map.
func (*blocks) Unpack(_ pieces.Span, _, _ []byte) error { return errors.ErrUnsupported }
