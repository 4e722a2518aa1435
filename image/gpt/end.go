package gpt

import (
	"encoding/binary"
	"io"
)

// End returns the offset in bytes after the backup of the table on a disk of size bytes: where the disk ended when the table was written. It
// returns size if there is no table with a backup where its header says, as after the disk was truncated.
func End(r io.ReaderAt, size int64) int64 {
	sector, err := findSectorSize(r, size, 0)
	if err != nil {
		return size
	}
	var h rawHeader
	if err := binary.Read(io.NewSectionReader(r, sector, sector), binary.LittleEndian, &h); err != nil || string(h.Signature[:]) != signature {
		return size
	}
	b := make([]byte, len(signature))
	if n := int64(h.AlternateLBA); n > 1 && n < size/sector && readAt(r, b, n*sector) == nil && string(b) == signature {
		return (n + 1) * sector
	}
	return size
}
