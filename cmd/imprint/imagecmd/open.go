package imagecmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"imprint/container"
	"imprint/image/disk"

	"golang.org/x/sys/unix"
)

// Open opens an image of any format that imprint reads. The caller closes the file.
func Open(name string) (*disk.Disk, *os.File, error) { return openWith(name, disk.Open) }

// openWith opens a file and passes it, with its size, to a function that opens images.
func openWith(name string, open func(io.ReaderAt, int64) (*disk.Disk, error)) (*disk.Disk, *os.File, error) {
	if name == "" {
		return nil, nil, errors.New("the name of the image is empty")
	}
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return nil, nil, fmt.Errorf("read %s: is a directory, and no image", name)
	case err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0:
		return nil, nil, fmt.Errorf("read %s: an image is read at any offset, which a pipe or a terminal cannot do", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	size, err := f.Seek(0, io.SeekEnd) // works for block devices, too
	if err == nil {
		var d *disk.Disk
		if d, err = openDisk(File{f}, size, open); err == nil {
			return d, f, nil
		}
	}
	f.Close()
	return nil, nil, fmt.Errorf("read %s: %w", name, err)
}

// openDisk opens the disk in a file of any format.
func openDisk(f io.ReaderAt, size int64, open func(io.ReaderAt, int64) (*disk.Disk, error)) (*disk.Disk, error) {
	image, err := container.Open(f, size)
	switch {
	case err != nil:
		return nil, err
	case image != nil:
		return open(image, image.Size())
	}
	return open(f, size)
}

// A File is an image whose holes are known without reading them.
type File struct{ *os.File }

// NextData returns the offset of the first byte at or after off that may not be zero.
func (f File) NextData(off int64) int64 {
	next, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	switch {
	case err == unix.ENXIO:
		return math.MaxInt64
	case err != nil:
		return off
	}
	return next
}
