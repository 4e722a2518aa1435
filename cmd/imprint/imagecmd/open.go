package imagecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"imprint/container"
	"imprint/image/disk"
	"imprint/image/gpt"

	"golang.org/x/sys/unix"
)

// Open opens an image of any format that imprint reads. The caller closes the file. It is the image, or a raw copy of one that can only be read
// from its start, without a name in the directory scratch.
func Open(ctx context.Context, name, scratch string) (*disk.Disk, *os.File, error) {
	return openWith(ctx, name, scratch, disk.Open)
}

// open opens an image.
func (w World) open(ctx context.Context, name string) (*disk.Disk, *os.File, error) {
	return Open(ctx, name, w.Scratch())
}

// openWith opens a file and passes it, with its size, to a function that opens images.
func openWith(ctx context.Context, name, scratch string, open func(io.ReaderAt, int64) (*disk.Disk, error)) (*disk.Disk, *os.File, error) {
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
	d, f, err := openFile(ctx, f, scratch, open)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("read %s: %w", name, err)
	}
	return d, f, nil
}

// openFile opens the disk in a file, or in a raw copy of it, which it returns then in place of the file.
func openFile(ctx context.Context, f *os.File, scratch string, open func(io.ReaderAt, int64) (*disk.Disk, error)) (*disk.Disk, *os.File, error) {
	size, err := f.Seek(0, io.SeekEnd) // works for block devices, too
	if err != nil {
		return nil, f, err
	}
	d, err := openDisk(File{f}, size, open)
	var archive *container.Archive
	if !errors.As(err, &archive) {
		return d, f, err
	}
	raw, err := unnamed(scratch, func(raw *os.File) error { return archive.Expand(ctx, raw) })
	if err != nil {
		return nil, f, err
	}
	f.Close()
	if size, err = unpadded(raw); err == nil {
		d, err = open(File{raw}, size)
	}
	return d, raw, err
}

// unpadded returns the size of a disk without the zeros that an archive has after it, since its size is that of whole units.
func unpadded(raw *os.File) (size int64, err error) {
	if size, err = raw.Seek(0, io.SeekEnd); err != nil {
		return 0, err
	}
	if end := gpt.End(raw, size); (File{raw}).NextData(end) >= size {
		return end, raw.Truncate(end)
	}
	return size, nil
}

// unnamed returns a file without a name in a directory, filled by fill.
func unnamed(dir string, fill func(*os.File) error) (*os.File, error) {
	f, err := os.CreateTemp(dir, "imprint-")
	if err != nil {
		return nil, err
	}
	if err = errors.Join(os.Remove(f.Name()), fill(f)); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
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
