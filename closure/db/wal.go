package db

import (
	"bufio"
	"encoding/binary"
	"io"
)

// Sizes in a write-ahead log (section 4 of the SQLite file format), in bytes.
const (
	walHeaderSize   = 32
	frameHeaderSize = 24
)

// maxFrames bounds the memory that the index of a log takes: 4 GiB of log with pages of 4096 bytes. Nix lets a log grow to 40,000
// frames before it is written back.
const maxFrames = 1 << 20

// A walHeader is the start of a write-ahead log. SQLite writes a new one with new salts when it restarts the log from the beginning.
type walHeader [walHeaderSize]byte

func (h *walHeader) field(n int) uint32 { return binary.BigEndian.Uint32(h[4*n:]) }

// A walIndex has the place in a log of the last committed content of each page.
type walIndex struct {
	header   walHeader
	pageSize int64
	frames   uint32           // that are committed
	pages    int64            // in the database after the last commit; 0: nothing is committed in this log
	content  map[uint32]int64 // offset in the log by page number
}

// readWAL indexes the committed frames of a log of size bytes, at most the given number of them. As in SQLite, the log ends before the first
// frame with wrong salts or a wrong cumulative checksum, and a missing, short or damaged header means that there is no log; neither is an
// error.
func readWAL(log io.ReaderAt, size int64, most uint32) (*walIndex, error) {
	x := &walIndex{content: map[uint32]int64{}}
	if n, err := log.ReadAt(x.header[:], 0); n < len(x.header) {
		if err == io.EOF {
			return x, nil
		}
		return nil, err
	}
	sum, ok := x.start()
	if !ok {
		return x, nil
	}
	size = min(size, walHeaderSize+int64(most)*(frameHeaderSize+x.pageSize)) - walHeaderSize
	r := bufio.NewReaderSize(io.NewSectionReader(log, walHeaderSize, size), int(min(size, 1<<20)))
	return x, x.read(r, sum)
}

// start reads the header; ok is false if SQLite would ignore the log.
func (x *walIndex) start() (sum checksum, ok bool) {
	const magic, version = 0x377f0682, 3007000
	h := &x.header
	x.pageSize = int64(h.field(2))
	if h.field(0)&^1 != magic || h.field(1) != version || !isPageSize(x.pageSize) {
		return sum, false
	}
	sum.order = binary.LittleEndian
	if h.field(0)&1 != 0 {
		sum.order = binary.BigEndian
	}
	sum.add(h[:24])
	return sum, sum.is(h[24:], binary.BigEndian)
}

func isPageSize(n int64) bool { return n >= 512 && n <= 65536 && n&(n-1) == 0 }

// read reads frames up to the first invalid one, and ignores those after the last commit.
func (x *walIndex) read(r io.Reader, sum checksum) error {
	frame := make([]byte, frameHeaderSize+x.pageSize)
	var uncommitted []uint32
	committed := int64(walHeaderSize)
	for n := uint32(0); ; n++ {
		if _, err := io.ReadFull(r, frame); err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		} else if err != nil {
			return err
		}
		if !x.valid(frame, &sum) {
			return nil
		}
		if n == maxFrames {
			return invalid("its write-ahead log has more than %d frames", maxFrames)
		}
		uncommitted = append(uncommitted, binary.BigEndian.Uint32(frame))
		if pages := binary.BigEndian.Uint32(frame[4:]); pages != 0 {
			x.commit(uncommitted, committed)
			x.pages, x.frames = int64(pages), n+1
			committed += int64(len(uncommitted) * len(frame))
			uncommitted = uncommitted[:0]
		}
	}
}

// valid checks a frame: page number, size of the database in pages if it ends a transaction, salts (two), checksum (two), page.
func (x *walIndex) valid(frame []byte, sum *checksum) bool {
	if binary.BigEndian.Uint32(frame) == 0 || string(frame[8:16]) != string(x.header[16:24]) {
		return false
	}
	sum.add(frame[:8])
	sum.add(frame[frameHeaderSize:])
	return sum.is(frame[16:24], binary.BigEndian)
}

// commit takes the frames of a transaction, the first of which lies at the given offset.
func (x *walIndex) commit(pages []uint32, at int64) {
	for i, page := range pages {
		x.content[page] = at + int64(i)*(frameHeaderSize+x.pageSize) + frameHeaderSize
	}
}

// A checksum is the checksum of a log, over 32-bit words in the byte order that the log's magic number selects.
type checksum struct {
	order  binary.ByteOrder
	s0, s1 uint32
}

// add takes a multiple of eight bytes.
func (c *checksum) add(b []byte) {
	s0, s1 := c.s0, c.s1
	if c.order == binary.LittleEndian {
		for ; len(b) >= 8; b = b[8:] {
			s0 += binary.LittleEndian.Uint32(b) + s1
			s1 += binary.LittleEndian.Uint32(b[4:]) + s0
		}
	} else {
		for ; len(b) >= 8; b = b[8:] {
			s0 += binary.BigEndian.Uint32(b) + s1
			s1 += binary.BigEndian.Uint32(b[4:]) + s0
		}
	}
	c.s0, c.s1 = s0, s1
}

// is compares with a stored checksum, which has its own byte order: big-endian in a log.
func (c *checksum) is(stored []byte, order binary.ByteOrder) bool {
	return order.Uint32(stored) == c.s0 && order.Uint32(stored[4:]) == c.s1
}
