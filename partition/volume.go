package partition

import (
	"errors"
	"io"

	"imprint/internal/fault"
	"imprint/internal/tree"
)

// A Volume is a file system opened in a region of a disk, or in a file of another file system.
type Volume struct {
	Filesystem *Filesystem
	Tree       *tree.Tree // each file's content is a part of the image, unpacked when it is read if it is compressed
	Label      string
	ID         string // as mount and udev print it
	Size       int64  // bytes of the region that the file system uses
	Stats      Stats
	Features   []string

	NeedsReplay bool // the journal holds changes that were not read

	// Check reads all metadata and reports every fault. It does not read the contents of files.
	Check func(fault.Report)
	// Explain names the structure that the byte at an offset of the region belongs to.
	Explain func(off int64) string
}

// ErrUnknown is the error for a region without a known file system.
var ErrUnknown = errors.New("no known file system")

// probeSize is the number of first bytes that identify every file system: up to the first volume descriptor of an ISO.
const probeSize = 36 << 10

// Open opens the file system in a region of size bytes. The error is [ErrUnknown] if there is no known one. With any other
// error, which says why it cannot be read, it returns the Filesystem but no Volume.
func Open(region io.ReaderAt, size int64) (*Volume, *Filesystem, error) {
	return OpenPart(region, size)
}

// OpenPart is Open without what the directories at the paths omit hold, which appear empty. Most file systems then read nothing
// of it, which takes a small part of the time if most of the files are there.
func OpenPart(region io.ReaderAt, size int64, omit ...string) (*Volume, *Filesystem, error) {
	head := make([]byte, min(probeSize, size))
	if _, err := region.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	for _, f := range Filesystems {
		if f.probe != nil && f.probe(head) {
			v, err := f.open(region, size, omit)
			if err != nil {
				return nil, f, err
			}
			v.Filesystem = f
			return v, f, nil
		}
	}
	return nil, nil, ErrUnknown
}

// has reports whether the first bytes of a region have a text at an offset.
func has(head []byte, off int, text string) bool {
	return len(head) >= off+len(text) && string(head[off:off+len(text)]) == text
}
