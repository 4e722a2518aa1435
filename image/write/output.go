package write

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
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

// maxFileName is the length in bytes of a name that nearly every file system takes.
const maxFileName = 255

// Create starts an output for path; a symlink there leads to the file that is meant. Whatever stands there stays untouched until
// Commit.
func Create(path string) (*Output, error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is there and is no regular file", path)
	}
	if n := len(filepath.Base(path)); n > maxFileName {
		return nil, fmt.Errorf("the name of %s has %d bytes, %d are possible", path, n, maxFileName)
	}
	dir := filepath.Dir(path)
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o666)
	if err == nil {
		return &Output{File: os.NewFile(uintptr(fd), path), path: path}, nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EINVAL) {
		return nil, &os.PathError{Op: "create a file in", Path: dir, Err: err}
	}
	o := &Output{path: path, temp: temporary(path)}
	o.File, err = os.OpenFile(o.temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	return o, nil
}

// temporary is a name beside path that no other process takes. Of two outputs of one process only one can have the same path.
func temporary(path string) string {
	sum := fnv.New32a()
	io.WriteString(sum, path)
	return filepath.Join(filepath.Dir(path), fmt.Sprintf(".imprint-%d-%08x.part", os.Getpid(), sum.Sum32()))
}

// Commit gives the file its name, in place of what stood there.
func (o *Output) Commit() error {
	if o.temp == "" {
		name := temporary(o.path)
		os.Remove(name)
		if err := unix.Linkat(unix.AT_FDCWD, procPath(o.File), unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW); err != nil {
			return fmt.Errorf("name %s: %w", o.path, err)
		}
		o.temp = name
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
