package scratch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Create creates a file in dir that is gone after remove, which closes it, unless [Link] has named it. shown is its name in messages.
func Create(dir, shown string) (f *os.File, remove func(), err error) {
	f, err = Unnamed(dir, shown)
	if err == nil {
		return f, func() { f.Close() }, nil
	}
	if !HasNoUnnamed(err) || errors.Is(err, unix.ENOENT) {
		return nil, nil, err
	}
	d, err := Dir(dir)
	if err != nil {
		return nil, nil, err
	}
	f, err = os.OpenFile(filepath.Join(d.Path, "new"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, nil, errors.Join(err, d.Remove())
	}
	return f, func() { f.Close(); d.Remove() }, nil
}

// Link names a file of Create; the name must be free. A file without a name is linked through /proc (open(2), O_TMPFILE).
func Link(f *os.File, path string) error {
	from, flags := fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.AT_SYMLINK_FOLLOW
	if info, err := os.Lstat(f.Name()); err == nil && info.Mode().IsRegular() {
		from, flags = f.Name(), 0
	}
	if err := unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, path, flags); err != nil {
		return &os.LinkError{Op: "link", Old: "a new file", New: path, Err: err}
	}
	return nil
}
