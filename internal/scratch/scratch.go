// Package scratch gives directories for files that host tools must know by name. They are locked as long as their maker lives; the next one who
// asks for a directory at the same place removes those whose makers were killed.
package scratch

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"
)

// A Directory is for files that must have names.
type Directory struct {
	Path string   // absolute
	lock *os.File // nil on a file system without locks
}

const prefix = ".imprint-scratch-"

// ours are names of directories made by Dir, and of nothing else.
var ours = regexp.MustCompile(`^\.imprint-scratch-[0-9]+$`)

// Dir makes a directory in another one, which is swept first.
func Dir(parent string) (*Directory, error) {
	Sweep(parent)
	for {
		path, err := os.MkdirTemp(parent, prefix)
		if err != nil {
			return nil, err
		}
		if path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		lock, err := hold(path)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue // the sweep of another process has it, before it was held, and will remove it
		}
		if _, err := os.Stat(path); err == nil {
			return &Directory{path, lock}, nil
		}
		lock.Close()
	}
}

// Remove removes the directory and all that is in it.
func (d *Directory) Remove() error {
	err := os.RemoveAll(d.Path)
	d.lock.Close()
	return err
}

// Sweep removes the directories in a directory whose makers were killed. What it cannot remove stays.
func Sweep(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !ours.MatchString(e.Name()) {
			continue
		}
		path := filepath.Join(parent, e.Name())
		if lock, err := hold(path); err == nil {
			os.RemoveAll(path)
			lock.Close()
		}
	}
}

// hold locks a directory that nobody holds.
func hold(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
