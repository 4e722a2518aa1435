package hosttree

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"imprint/internal/compressed"
)

// plain returns an archive as it is, or what a compressed one unpacks to. r, its reader, is then closed.
func plain(a *archive, r *fileReader, o TarOptions) (*archive, error) {
	by, err := compressedBy(a)
	if err != nil || by == "" || o.Unpack == nil {
		return a, err
	}
	f, err := o.Unpack(io.NewSectionReader(r, 0, a.size), by)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if a, err = ofFile(f, a.path); err == nil {
		r.Close()
	}
	return a, err
}

// ofFile returns an archive in an open file, which may be closed then. Messages name path.
func ofFile(f *os.File, path string) (*archive, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	size := info.Size()
	return &archive{&fileReader{fd: fd, file: &file{name: path, size: size}}, path, size}, nil
}

// compressedBy returns the program that has compressed an archive, or "".
func compressedBy(a *archive) (string, error) {
	begin := make([]byte, min(compressed.Head, a.size))
	if n, err := a.ReadAt(begin, 0); n < len(begin) {
		return "", err
	}
	return compressed.By(begin), nil
}

func refuseCompressed(a *archive) error {
	by, err := compressedBy(a)
	if err == nil && by != "" {
		return fmt.Errorf("compressed with %s: unpack it first (%s)", by, compressed.Unpack(by))
	}
	return err
}
