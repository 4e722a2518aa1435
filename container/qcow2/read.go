package qcow2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"imprint/internal/pieces"
)

// Limits, those of QEMU where it has one (block/qcow2.c).
const (
	leastClusterBits = 9
	mostClusterBits  = 21
	mostL1           = 32 << 20 / 8 // entries
	seen             = 64           // L2 entries that are read at once
	version2Header   = 72           // bytes
)

// Bits of incompatible features.
const (
	incompatCorrupt = 1 << 1
	incompatKnown   = 1<<0 | incompatZstd // bit 0: refcounts may be wrong, which a reader does not need
)

// An Unpacker fills dst from the compressed form of a cluster at the start of stored. Any bytes may follow that. It is called from several
// goroutines.
type Unpacker func(dst, stored []byte) error

// Open opens a file of version 2 or 3. The file selects the Unpacker.
func Open(file io.ReaderAt, size int64, zstd, deflate Unpacker) (*pieces.Image, error) {
	h := make([]byte, headerSize)
	if n, err := file.ReadAt(h, 0); n < version2Header {
		return nil, fmt.Errorf("the header is cut short: %w", err)
	}
	be := binary.BigEndian
	m := &mapping{file: file, end: size, bits: uint(be.Uint32(h[20:])), l1: int64(be.Uint64(h[40:])), l1Count: int64(be.Uint32(h[36:])), unpack: deflate}
	version, bytes := be.Uint32(h[4:]), be.Uint64(h[24:])
	switch {
	case string(h[:4]) != magic:
		return nil, errors.New("not a qcow2 file")
	case version != 2 && version != 3:
		return nil, fmt.Errorf("version %d of qcow2 is not supported", version)
	case be.Uint64(h[8:]) != 0:
		return nil, errors.New("the disk has a backing file, without which it is not complete")
	case be.Uint32(h[32:]) != 0:
		return nil, errors.New("the disk is encrypted")
	case m.bits < leastClusterBits || m.bits > mostClusterBits:
		return nil, fmt.Errorf("clusters of 2^%d bytes are not valid", m.bits)
	case m.l1Count > mostL1 || m.l1 < 0 || m.l1 > size || m.l1Count*8 > size-m.l1:
		return nil, fmt.Errorf("the L1 table of %d entries at %d is not in the file", m.l1Count, m.l1)
	case bytes > pieces.MaxSize:
		return nil, fmt.Errorf("the disk has %d bytes; at most %d are read", bytes, int64(pieces.MaxSize))
	case m.l1Count*m.reach() < int64(bytes):
		return nil, fmt.Errorf("the L1 table of %d entries is too short for %d bytes", m.l1Count, bytes)
	}
	if version == 3 {
		if err := m.features(h); err != nil {
			return nil, err
		}
		if be.Uint64(h[72:])&incompatZstd != 0 {
			m.unpack = zstd
		}
	}
	return pieces.NewImage(file, int64(bytes), m)
}

// features returns an error for an incompatible feature that is not supported.
func (m *mapping) features(h []byte) error {
	switch features := binary.BigEndian.Uint64(h[72:]); {
	case features&incompatCorrupt != 0:
		return errors.New("the file is marked as corrupt")
	case features&^incompatKnown != 0:
		return fmt.Errorf("the file has incompatible features %#x that are not supported", features&^incompatKnown)
	case features&incompatZstd != 0 && h[104] != typeZstd:
		return fmt.Errorf("compression type %d is not supported", h[104])
	}
	return nil
}

// A mapping finds clusters by reading the tables in the file, without caching them.
type mapping struct {
	file    io.ReaderAt
	end     int64 // of the file
	bits    uint  // log2 of the length of a cluster
	l1      int64 // offset
	l1Count int64 // entries
	unpack  Unpacker
}

func (m *mapping) cluster() int64 { return 1 << m.bits }

// reach returns the number of bytes of the disk that an L2 table covers.
func (m *mapping) reach() int64 { return m.cluster() / 8 * m.cluster() }

// Span implements pieces.Map.
func (m *mapping) Span(off int64) (s pieces.Span, err error) {
	table, err := m.entries(m.l1+off/m.reach()*8, 1)
	if err != nil {
		return s, err
	}
	from := off / m.reach() * m.reach()
	l2 := int64(table[0] & offsetMask)
	if l2 == 0 {
		return pieces.Span{Off: from, Len: m.reach()}, nil
	}
	k := (off - from) >> m.bits
	list, err := m.entries(l2+k*8, min(seen, m.cluster()/8-k))
	if err != nil {
		return s, err
	}
	s = m.one(list[0], from+k<<m.bits)
	for i := 1; i < len(list) && s.Kind != pieces.Packed; i++ {
		next := m.one(list[i], 0)
		if next.Kind != s.Kind || s.Kind == pieces.Plain && next.At != s.At+s.Len {
			break
		}
		s.Len += m.cluster()
	}
	return s, nil
}

// one returns the span of one cluster.
func (m *mapping) one(entry uint64, off int64) pieces.Span {
	s := pieces.Span{Off: off, Len: m.cluster()}
	switch {
	case entry&compressed != 0:
		x := 62 - (m.bits - 8)
		s.Kind, s.At = pieces.Packed, int64(entry&(1<<x-1))
		s.Stored = min(int64(entry&(compressed-1)>>x+1)*sector-s.At%sector, m.end-s.At) // the last sector may be short
	case entry&reads0 == 0 && entry&offsetMask != 0:
		s.Kind, s.At = pieces.Plain, int64(entry&offsetMask)
	}
	return s
}

// entries reads n entries of a table.
func (m *mapping) entries(off, n int64) ([]uint64, error) {
	buf := make([]byte, n*8)
	if read, err := m.file.ReadAt(buf, off); read < len(buf) {
		return nil, fmt.Errorf("a table at %d is not in the file: %w", off, err)
	}
	list := make([]uint64, n)
	for i := range list {
		list[i] = binary.BigEndian.Uint64(buf[i*8:])
	}
	return list, nil
}

// Unpack implements pieces.Map.
func (m *mapping) Unpack(_ pieces.Span, dst, stored []byte) error { return m.unpack(dst, stored) }
