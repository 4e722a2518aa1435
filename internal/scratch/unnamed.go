package scratch

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Unnamed creates a file without a name in dir (O_TMPFILE), which is gone when it is closed, whatever ends the process. shown is its name in
// messages. [HasNoUnnamed] matches the error of a file system without such files.
func Unnamed(dir, shown string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o666)
	if err != nil {
		return nil, &os.PathError{Op: "create a file in", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), shown), nil
}

// HasNoUnnamed reports whether an error of Unnamed means that such files are not supported here. Old kernels ignore the flag and say EISDIR;
// others say ENOENT or EINVAL.
func HasNoUnnamed(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT)
}

// File creates a file in dir that is gone when it is closed: one without a name or, on a file system that has none, one that lost its name.
func File(dir, shown string) (*os.File, error) {
	f, err := Unnamed(dir, shown)
	if err == nil || !HasNoUnnamed(err) {
		return f, err
	}
	d, err := Dir(dir)
	if err != nil {
		return nil, err
	}
	f, err = os.OpenFile(filepath.Join(d.Path, "file"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return f, errors.Join(err, d.Remove())
}

// Free returns how many bytes may be written to the file system of a directory by users other than root.
func Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(st.Bavail) * st.Bsize, nil
}
