package hosttree

import (
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sys/unix"

	"imprint/internal/tree"
)

// A file is the content of a file of the host.
type file struct {
	dir  *dir // nil: name is a whole path, and a symlink there is followed
	name string
	size int64
}

// File returns the file at path as a blob; symlinks are followed. Errors are [*fs.PathError].
func File(path string) (tree.Blob, error) {
	f, err := lookAt(path)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func lookAt(path string) (*file, error) {
	var st unix.Stat_t
	for {
		switch err := unix.Stat(path, &st); {
		case err == unix.EINTR:
		case err != nil:
			return nil, pathError("stat", path, err)
		case kindOf(uint16(st.Mode)) != tree.File:
			return nil, pathError("read", path, fmt.Errorf("is a %v, not a file", kindOf(uint16(st.Mode))))
		default:
			if err := refusePseudo(path); err != nil {
				return nil, pathError("read", path, err)
			}
			return &file{name: path, size: st.Size}, nil
		}
	}
}

// Size returns the length in bytes that the file had when it was scanned.
func (f *file) Size() int64 { return f.size }

// HostPath implements tree.HostBlob.
func (f *file) HostPath() string {
	if f.dir == nil {
		return f.name
	}
	return f.dir.path(f.name)
}

// Open opens the file, if permitted without changing the time of its last access.
func (f *file) Open() (tree.Reader, error) {
	r, err := f.open()
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (f *file) open() (*fileReader, error) {
	flags := f.dir.flags()
	if f.dir != nil {
		flags |= unix.O_NOFOLLOW
	}
	path := f.HostPath()
	fd, _, err := openPath(path, flags)
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return &fileReader{fd: fd, file: f}, nil
}

// A fileReader is an open file.
type fileReader struct {
	fd   int
	file *file
}

// Descriptor implements tree.DescriptorReader.
func (r *fileReader) Descriptor() (fd int, off int64, ok bool) { return r.fd, 0, true }

// ReadAt returns io.EOF at the end of the file as it is now, which may be after Size. If the file has become shorter than Size, the error
// wraps [io.ErrUnexpectedEOF].
func (r *fileReader) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pread(r.fd, p[done:], off+int64(done))
		runtime.KeepAlive(r) // an archive's reader is closed when it becomes unreachable
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return done, pathError("read", r.file.HostPath(), err)
		}
		done += n
		if end := off + int64(done); n == 0 || done < len(p) && end >= r.file.size {
			return done, r.ended(end)
		}
	}
	return done, nil
}

// ended returns the error of a read that met the end of the file. A short read at the expected size counts as the end: this saves the system
// call that would return 0.
func (r *fileReader) ended(at int64) error {
	if at >= r.file.size {
		return io.EOF
	}
	return pathError("read", r.file.HostPath(), fmt.Errorf("ends at byte %d, had %d bytes before: %w", at, r.file.size, io.ErrUnexpectedEOF))
}

// NextData implements tree.DataReader, if the file system of the host reports holes.
func (r *fileReader) NextData(off int64) int64 {
	next, err := unix.Seek(r.fd, off, unix.SEEK_DATA)
	if err == unix.ENXIO { // no more data: the file ends with a hole, or before off, which the next read reports
		next, err = unix.Seek(r.fd, 0, io.SeekEnd)
	}
	runtime.KeepAlive(r)
	if err != nil {
		return off
	}
	return max(next, off)
}

// Close implements io.Closer.
func (r *fileReader) Close() error {
	fd := r.fd
	r.fd = -1
	if err := unix.Close(fd); err != nil && err != unix.EINTR {
		return pathError("close", r.file.HostPath(), err)
	}
	return nil
}
