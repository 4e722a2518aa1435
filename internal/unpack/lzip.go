package unpack

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// A lunzip reads the members of a file of lzip ("Lzip file format", draft-diaz-lzip): each has a header of 6 bytes, LZMA data with fixed parameters
// that ends with a marker, and a trailer with a CRC-32, the size of the data, and that of the member.
type lunzip struct {
	r      *counted
	member *lzma.Reader // nil between two
	start  int64        // offset of the member in the file
	sum    hash.Hash32
	size   uint64 // of the member's data
	err    error
}

// newLunzip reads the header of the first member: a file has at least one.
func newLunzip(r io.Reader) (io.Reader, error) {
	l := &lunzip{r: &counted{Reader: bufio.NewReaderSize(r, 64<<10)}}
	err := l.next()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return l, err
}

// Read implements io.Reader.
func (l *lunzip) Read(p []byte) (n int, err error) {
	for n == 0 && l.err == nil {
		if l.member == nil {
			l.err = l.next()
			continue
		}
		n, err = l.member.Read(p)
		l.sum.Write(p[:n])
		l.size += uint64(n)
		switch {
		case err == io.EOF:
			l.err = l.end()
		case err != nil:
			l.err = err
		case len(p) == 0:
			return 0, nil
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, l.err
}

const (
	lzipMagic      = "LZIP\x01"
	lzipParameters = 3 + 9*5*2 // of LZMA: lc = 3, lp = 0, pb = 2
)

// next reads the header of a member. The error is io.EOF at the end of the file.
func (l *lunzip) next() error {
	l.start = l.r.n
	var header [6]byte
	if _, err := io.ReadFull(l.r, header[:]); err != nil {
		return err
	}
	code := header[5]
	base := uint32(1) << (code & 31)
	size := base - base/16*uint32(code>>5)
	if string(header[:5]) != lzipMagic || code&31 < 12 || code&31 > 29 || size < 1<<12 {
		return errors.New("no header of a member")
	}
	// lzma expects the header of a file: parameters, size of the dictionary, size of the data (unknown).
	classic := binary.LittleEndian.AppendUint32([]byte{lzipParameters}, size)
	l.r.before = binary.LittleEndian.AppendUint64(classic, 1<<64-1)
	l.sum, l.size = crc32.NewIEEE(), 0
	var err error
	l.member, err = lzma.ReaderConfig{DictCap: maxWindow}.NewReader(l.r)
	return err
}

// end reads the trailer of a member.
func (l *lunzip) end() error {
	l.member = nil
	var trailer [20]byte
	if _, err := io.ReadFull(l.r, trailer[:]); err != nil {
		return io.ErrUnexpectedEOF
	}
	switch {
	case binary.LittleEndian.Uint32(trailer[:]) != l.sum.Sum32():
		return errors.New("the checksum differs")
	case binary.LittleEndian.Uint64(trailer[4:]) != l.size:
		return fmt.Errorf("%d bytes, not %d", l.size, binary.LittleEndian.Uint64(trailer[4:]))
	case binary.LittleEndian.Uint64(trailer[12:]) != uint64(l.r.n-l.start):
		return errors.New("the size of a member differs")
	}
	return nil
}

// counted counts the bytes of a file, and puts others before them. It is an io.ByteReader, so that lzma reads no byte too many.
type counted struct {
	*bufio.Reader
	before []byte
	n      int64
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	if len(c.before) > 0 {
		n := copy(p, c.before)
		c.before = c.before[n:]
		return n, nil
	}
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// ReadByte implements io.ByteReader.
func (c *counted) ReadByte() (byte, error) {
	if len(c.before) > 0 {
		b := c.before[0]
		c.before = c.before[1:]
		return b, nil
	}
	b, err := c.Reader.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}
