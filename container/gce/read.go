package gce

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
)

const (
	block = 512 // bytes of a header of a tar archive

	// maxSize is the size in bytes of the largest disk that is read. A hole costs an archive nothing, and still takes time.
	maxSize = 2 << 40
)

// Is reports whether an archive, of which these are the first bytes without compression, begins with a disk. All archives that Compute Engine
// takes do.
func Is(start []byte) bool {
	h, err := tar.NewReader(bytes.NewReader(start[:min(len(start), block)])).Next()
	return err == nil && isDisk(h)
}

// isDisk reports whether a file of an archive is the disk, with holes or without.
func isDisk(h *tar.Header) bool {
	return path.Clean(h.Name) == name && (h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeGNUSparse)
}

// Read passes the disk in an archive without compression to put, and returns its size in bytes. Archives of other programs are read, too, also
// with holes (Google's own tools make such). put is called with what follows each time, and does not keep it.
func Read(r io.Reader, buf []byte, put func(content []byte, off int64) error) (size int64, err error) {
	t := tar.NewReader(r)
	h, err := t.Next()
	switch {
	case err != nil:
		return 0, fmt.Errorf("the archive: %w", noEnd(err))
	case !isDisk(h):
		return 0, fmt.Errorf("the archive begins with %q, not with %s", h.Name, name)
	case h.Size > maxSize:
		return 0, fmt.Errorf("the disk has %d bytes; at most %d are read", h.Size, int64(maxSize))
	}
	for off := int64(0); off < h.Size; {
		part := buf[:min(int64(len(buf)), h.Size-off)]
		if _, err := io.ReadFull(t, part); err != nil {
			return 0, fmt.Errorf("byte %d of the disk: %w", off, noEnd(err))
		}
		if err := put(part, off); err != nil {
			return 0, err
		}
		off += int64(len(part))
	}
	return h.Size, end(t, r)
}

// end reads what follows the disk, so that the checksum of the compression is compared. It is the end of the archive, and at most as many zeros
// as tar programs add.
func end(t *tar.Reader, r io.Reader) error {
	switch h, err := t.Next(); {
	case err == nil:
		return fmt.Errorf("the archive has another file, %q", h.Name)
	case err != io.EOF:
		return fmt.Errorf("the archive: %w", err)
	}
	const most = 1 << 20
	n, err := io.Copy(io.Discard, io.LimitReader(r, most))
	if err == nil && n == most {
		err = errors.New("more follows the archive")
	}
	return err
}

// noEnd makes the end of a file that is cut short an error.
func noEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
