package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// An Output is a file that appears under its name whole, or not at all. Where the file system can do it, the file has no name until
// then, so that even a killed build leaves nothing.
type Output struct {
	File *os.File
	path string
	temp string // the name that it has until Commit; empty when it has none
}

// Create starts an output for path. Whatever stands there stays untouched until Commit.
func Create(path string) (*Output, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is there and is no regular file", path)
	}
	dir := filepath.Dir(path)
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o644)
	if err == nil {
		return &Output{File: os.NewFile(uintptr(fd), path), path: path}, nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
		return nil, &os.PathError{Op: "create a file in", Path: dir, Err: err}
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.part")
	if err != nil {
		return nil, err
	}
	return &Output{File: f, path: path, temp: f.Name()}, f.Chmod(0o644)
}

// Commit gives the file its name, in place of what stood there.
func (o *Output) Commit() error {
	if o.temp == "" {
		o.temp = filepath.Join(filepath.Dir(o.path), fmt.Sprintf(".%s.%d.part", filepath.Base(o.path), os.Getpid()))
		os.Remove(o.temp)
		if err := unix.Linkat(unix.AT_FDCWD, procPath(o.File), unix.AT_FDCWD, o.temp, unix.AT_SYMLINK_FOLLOW); err != nil {
			o.temp = ""
			return fmt.Errorf("name %s: %w", o.path, err)
		}
	}
	if err := os.Rename(o.temp, o.path); err != nil {
		return err
	}
	o.temp = ""
	return o.File.Close()
}

// Discard removes what Commit has not named. After Commit it does nothing.
func (o *Output) Discard() {
	o.File.Close()
	if o.temp != "" {
		os.Remove(o.temp)
		o.temp = ""
	}
}

// procPath is a path by which this process and its children open an open file, whether it has a name or not.
func procPath(f *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()) }
