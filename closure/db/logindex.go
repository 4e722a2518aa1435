package db

import (
	"bytes"
	"encoding/binary"
	"io"
)

// native is the byte order of this machine.
var native = func() binary.ByteOrder {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return binary.LittleEndian
	}
	return binary.BigEndian
}()

// A logState is the state of a log in its index ("The WAL-Index File Format", section 2.1).
type logState struct {
	frames uint32  // that are committed
	salts  [8]byte // as in the header of the log
}

// readLogState reads the header of an index, which has two copies. ok is false if they differ, since a program that has mapped the index is
// changing it, or if it was never written.
//
//	0   version, unused, counter of changes                   3 × 4 bytes
//	12  whether it was written, byte order of checksums       1 + 1
//	14  size of pages, frames, pages in the database          2 + 4 + 4
//	24  checksum of the last frame, salts                     8 + 8
//	40  checksum of all that                                  8
//
// Numbers are in the byte order of the machine.
func readLogState(index io.ReaderAt) (s logState, ok bool, err error) {
	const size = 48
	var header [2 * size]byte
	if n, err := index.ReadAt(header[:], 0); n < len(header) {
		if err == io.EOF {
			err = nil
		}
		return s, false, err
	}
	first := header[:size]
	sum := checksum{order: native}
	sum.add(first[:40])
	copy(s.salts[:], first[32:])
	s.frames = native.Uint32(first[16:])
	same := sum.is(first[40:], native)
	return s, first[12] == 1 && same && bytes.Equal(first, header[size:]), nil
}
