package vmdk

import (
	"encoding/binary"
	"hash/adler32"
	"io"

	"imprint/internal/pieces"
)

// Types of markers.
const (
	markEnd       = 0
	markTable     = 1
	markDirectory = 2
	markFooter    = 3
)

const grainHead = 12 // bytes of a grain's marker

// A Pack appends the raw deflated form of a grain to dst. It is called from several goroutines.
type Pack func(dst, grain []byte) ([]byte, error)

// Stream returns a writer of a "streamOptimized" disk, which writes the file sequentially. spool is a scratch file.
func Stream(w io.Writer, spool pieces.File, d pieces.Disk, pack Pack) (pieces.Writer, error) {
	s := &stream{w: w, disk: d, directory: make([]byte, sectors(tables(d)*4)*sector)}
	s.write(header(d, 3, streamFlags, 0, atEnd, overhead))
	s.write(descriptor(d, "streamOptimized"))
	s.write(make([]byte, overhead*sector-s.at))
	packGrains := func(dst, content []byte) ([]byte, error) { return packGrains(dst, content, pack) }
	return pieces.NewOrdered(d, pieces.Sink{Spool: spool}, pieces.Packing{Pack: packGrains, Emit: s.emit, SkipHoles: true, Close: s.close}), s.err
}

const streamFlags = flagNewLine | flagCompressed | flagMarkers

// packGrains packs the grains of a piece that have data, each after a marker with the number of its first sector in the piece.
func packGrains(dst, content []byte, pack Pack) (_ []byte, err error) {
	le := binary.LittleEndian
	dst = append(dst, 0) // never empty: nil is a hole
	for off := 0; off < len(content); off += grain {
		g := content[off:min(len(content), off+grain)]
		if pieces.IsZero(g) {
			continue
		}
		if len(g) < grain {
			g = append(make([]byte, 0, grain), g...)[:grain]
		}
		from := len(dst)
		dst = append(dst, make([]byte, grainHead)...)
		if dst, err = zlib(dst, g, pack); err != nil {
			return nil, err
		}
		le.PutUint64(dst[from:], uint64(off/sector))
		le.PutUint32(dst[from+8:], uint32(len(dst)-from-grainHead))
		for (len(dst)-1)%sector != 0 {
			dst = append(dst, 0)
		}
	}
	return dst, nil
}

// zlib appends a part as a zlib stream (RFC 1950).
func zlib(dst, part []byte, pack Pack) ([]byte, error) {
	dst, err := pack(append(dst, 0x78, 0x9c), part)
	return binary.BigEndian.AppendUint32(dst, adler32.Checksum(part)), err
}

// A stream writes packed pieces.
type stream struct {
	w    io.Writer
	disk pieces.Disk
	at   int64 // bytes written
	err  error

	table     [perTable]uint32 // the sectors of grains of the current table
	current   int64            // number of the table
	directory []byte
}

func (s *stream) write(p []byte) {
	if s.err == nil {
		_, s.err = s.w.Write(p)
		s.at += int64(len(p))
	}
}

// emit writes the grains of a piece.
func (s *stream) emit(n int64, packed []byte) error {
	if packed == nil {
		return s.err
	}
	le := binary.LittleEndian
	for len(packed) > 1 {
		first := n*s.disk.Piece/sector + int64(le.Uint64(packed[1:]))
		g := first * sector / grain
		if g/perTable != s.current { // cannot be within a piece, which has fewer grains than a table
			s.flush()
			s.current = g / perTable
		}
		s.table[g%perTable] = uint32(s.at / sector)
		size := sectors(grainHead+int64(le.Uint32(packed[9:]))) * sector
		le.PutUint64(packed[1:], uint64(first))
		s.write(packed[1 : 1+size])
		packed = packed[size:]
	}
	return s.err
}

// marker writes a marker of a type, for n sectors.
func (s *stream) marker(n uint64, kind uint32) {
	m := make([]byte, sector)
	binary.LittleEndian.PutUint64(m, n)
	binary.LittleEndian.PutUint32(m[12:], kind)
	s.write(m)
}

// flush writes the current table, if it has grains.
func (s *stream) flush() {
	if s.table == [perTable]uint32{} {
		return
	}
	s.marker(tableSize/sector, markTable)
	binary.LittleEndian.PutUint32(s.directory[s.current*4:], uint32(s.at/sector))
	p, _ := binary.Append(nil, binary.LittleEndian, s.table[:])
	s.write(p)
	s.table = [perTable]uint32{}
}

// close writes the directory, the footer and the end.
func (s *stream) close() error {
	s.flush()
	s.marker(uint64(len(s.directory)/sector), markDirectory)
	directory := s.at / sector
	s.write(s.directory)
	s.marker(1, markFooter)
	s.write(header(s.disk, 3, streamFlags, 0, uint64(directory), overhead))
	s.marker(0, markEnd)
	return s.err
}
