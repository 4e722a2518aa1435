// Package output writes files that appear under their names complete or not at all, several together.
package output

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"imprint/internal/scratch"

	"golang.org/x/sys/unix"
)

// An Output is a file that appears under its name complete or not at all; see [Commit]. Until then it has no name at all
// (O_TMPFILE), so that even a killed build leaves nothing. On file systems without such files it is in a scratch directory,
// which the next build removes.
type Output struct {
	File    *os.File
	path    string // absolute, without symlinks
	temp    string // its name until Commit; empty if it has none
	scratch *scratch.Directory
}

// Create starts an output for path, after removing what killed builds left in its directory. If path is a symlink, the output
// replaces the file that it leads to. A file there stays untouched until Commit.
func Create(path string) (*Output, error) {
	place, err := Place(path)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(place)
	scratch.Sweep(dir)
	o := &Output{path: place}
	if o.File, err = unnamed(dir, path); err == nil || !scratch.HasNoUnnamed(err) {
		return o, err
	}
	return o, o.named()
}

// Path is where the file will be: absolute, with all symlinks followed.
func (o *Output) Path() string { return o.path }

// unnamed creates a file without a name. Naming it later goes through /proc, and so do host tools that write to it: without
// /proc it would be of no use.
func unnamed(dir, shown string) (*os.File, error) {
	f, err := scratch.Unnamed(dir, shown)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(procPath(f)); err != nil { // no /proc
		f.Close()
		return nil, unix.EOPNOTSUPP
	}
	return f, nil
}

// named creates a file in a scratch directory.
func (o *Output) named() (err error) {
	if o.scratch, err = scratch.Dir(filepath.Dir(o.path)); err != nil {
		return err
	}
	o.temp = filepath.Join(o.scratch.Path, "new")
	if o.File, err = os.OpenFile(o.temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666); err != nil {
		o.scratch.Remove()
	}
	return err
}

// Discard removes the file if Commit has not named it. After Commit it does nothing.
func (o *Output) Discard() {
	o.File.Close()
	if o.scratch != nil {
		o.scratch.Remove()
	}
}

// finish prepares the file for its name: it gets the owner and mode of the file that it replaces, is synced if sync is set,
// and gets a temporary name in the same file system, from fresh.
func (o *Output) finish(sync bool, fresh func(parent string) (string, error)) error {
	if err := o.keepMode(); err != nil {
		return err
	}
	if sync {
		if err := o.File.Sync(); err != nil {
			return err
		}
	}
	if o.temp == "" {
		if err := o.link(fresh); err != nil {
			return fmt.Errorf("name %s: %w", o.path, err)
		}
	}
	return o.File.Close()
}

func (o *Output) link(fresh func(parent string) (string, error)) error {
	name, err := fresh(filepath.Dir(o.path))
	if err != nil {
		return err
	}
	if err := unix.Linkat(unix.AT_FDCWD, procPath(o.File), unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW); err != nil {
		return err
	}
	o.temp = name
	return nil
}

// keepMode gives the file the owner and permissions of the one that it replaces. Only root can change owners, so that is not
// an error for others.
func (o *Output) keepMode() error {
	var old, own unix.Stat_t
	if unix.Lstat(o.path, &old) != nil {
		return nil
	}
	fd := int(o.File.Fd())
	if err := unix.Fstat(fd, &own); err != nil {
		return &os.PathError{Op: "stat", Path: o.path, Err: err}
	}
	if old.Uid != own.Uid || old.Gid != own.Gid {
		if err := unix.Fchown(fd, int(old.Uid), int(old.Gid)); err != nil && !errors.Is(err, unix.EPERM) {
			return &os.PathError{Op: "chown", Path: o.path, Err: err}
		}
	}
	if old.Mode == own.Mode {
		return nil
	}
	if err := unix.Fchmod(fd, old.Mode&0o777); err != nil {
		return &os.PathError{Op: "chmod", Path: o.path, Err: err}
	}
	return nil
}

// procDir is where procfs is mounted; tests change it.
var procDir = "/proc"

// procPath is a path by which this process and its children can open an open file, named or not.
func procPath(f *os.File) string { return fmt.Sprintf("%s/%d/fd/%d", procDir, os.Getpid(), f.Fd()) }

// ToolPath is a path by which a host tool can open the file. Without /proc every output has a name.
func ToolPath(f *os.File) string {
	path := procPath(f)
	if _, err := os.Stat(path); err != nil {
		return f.Name()
	}
	return path
}
