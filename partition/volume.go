package partition

import (
	"errors"
	"io"

	"imprint/internal/fault"
	"imprint/internal/tree"
)

// A Volume is a file system that was opened in a region of a disk, or in a file of another file system.
type Volume struct {
	Filesystem *Filesystem
	Tree       *tree.Tree // the content of each file is a part of the image
	Label      string
	ID         string // as mount and udev print it
	Size       int64  // bytes that the file system takes of its region
	Stats      Stats
	Features   []string

	// Check reads all structure again and reports every fault that it finds. Contents are not read.
	Check func(fault.Report)
	// Explain says what the byte at an offset of the region belongs to.
	Explain func(off int64) string
}

// ErrUnknown is the error for a region without a file system that can be recognised.
var ErrUnknown = errors.New("no known file system")

// probeSize is how many bytes at the front of a region show which file system is in it: the first volume descriptor of an ISO lies
// farthest behind.
const probeSize = 36 << 10

// Open recognises the file system in a region of size bytes, and opens it. The error is [ErrUnknown] where there is none; another one says
// why it cannot be read, and then the file system is returned too.
func Open(region io.ReaderAt, size int64) (*Volume, *Filesystem, error) {
	head := make([]byte, min(probeSize, size))
	if _, err := region.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	for _, f := range Filesystems {
		if f.probe != nil && f.probe(head) {
			v, err := f.open(region, size)
			if err != nil {
				return nil, f, err
			}
			v.Filesystem = f
			return v, f, nil
		}
	}
	return nil, nil, ErrUnknown
}

// has reports whether a text lies at an offset of the front of a region.
func has(head []byte, off int, text string) bool {
	return len(head) >= off+len(text) && string(head[off:off+len(text)]) == text
}
