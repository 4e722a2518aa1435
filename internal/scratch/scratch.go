// Package scratch makes directories for files that need a name before they are complete, and locks names. A directory is
// locked while its process lives, so that the next process can recognise and remove those of killed processes.
package scratch

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"
)

// A Directory holds files that need names.
type Directory struct {
	Path string   // absolute
	lock *os.File // nil on a file system without locks
}

const prefix = ".imprint-scratch-"

// ours matches the names of the directories that Dir makes.
var ours = regexp.MustCompile(`^\.imprint-scratch-[0-9]+$`)

// Dir sweeps parent and makes a directory in it.
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
			continue // another process swept it before it was locked
		}
		if _, err := os.Stat(path); err == nil {
			return &Directory{path, lock}, nil
		}
		lock.Close()
	}
}

// Remove removes the directory and everything in it.
func (d *Directory) Remove() error {
	err := os.RemoveAll(d.Path)
	d.lock.Close()
	return err
}

// Sweep removes the scratch directories and lock files of killed processes in parent. It ignores failures: the next sweep
// tries again.
func Sweep(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(parent, e.Name())
		if e.Type().IsRegular() && lockNames.MatchString(e.Name()) {
			sweepLock(path)
		}
		if !e.IsDir() || !ours.MatchString(e.Name()) {
			continue
		}
		if lock, err := hold(path); err == nil {
			os.RemoveAll(path)
			lock.Close()
		}
	}
}

// hold locks a directory, or returns EWOULDBLOCK if another process holds it.
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
