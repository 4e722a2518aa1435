package scratch

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sys/unix"
)

// A Lock keeps other processes from a name in a directory. It is a file beside that name, since a lock on the directory itself would meet
// those of others: `flock DIR imprint …` would wait for itself.
type Lock struct {
	path string
	file *os.File // nil on a file system without locks
}

// lockNames matches the names of the files that locks are.
var lockNames = regexp.MustCompile(`^\.imprint-lock-[0-9a-f]{16}$`)

// patience is how long Hold waits for another process, and between is how long from one attempt to the next.
const (
	patience = time.Minute
	between  = 5 * time.Millisecond
)

// Hold locks the name of a path, which need not exist. It waits for a process that has the lock, but not longer than a minute. On a file system
// without locks nobody waits.
func Hold(ctx context.Context, path string) (*Lock, error) {
	sum := fnv.New64a()
	io.WriteString(sum, filepath.Base(path))
	l := &Lock{path: filepath.Join(filepath.Dir(path), fmt.Sprintf(".imprint-lock-%016x", sum.Sum64()))}
	late := time.After(patience)
	for {
		if err := l.try(); err == nil {
			return l, nil
		} else if !l.held(err) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-late:
			return nil, fmt.Errorf("lock %s: another process has held %s for %v", path, l.path, patience)
		case <-time.After(between):
		}
	}
}

// try takes the lock, or returns EWOULDBLOCK. Whoever ends removes the file, so a lock on one that is gone by then is none.
func (l *Lock) try() error {
	fd, err := unix.Open(l.path, unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return &os.PathError{Op: "open", Path: l.path, Err: err}
	}
	f := os.NewFile(uintptr(fd), l.path)
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		os.Remove(l.path)
		return nil
	}
	if !isNamed(f, l.path) {
		f.Close()
		return unix.EWOULDBLOCK
	}
	l.file = f
	return nil
}

// held reports whether an error of try means that another process has the lock. What another user holds may not even be opened.
func (l *Lock) held(err error) bool {
	if _, gone := os.Lstat(l.path); errors.Is(err, unix.EACCES) && gone == nil {
		return true
	}
	return errors.Is(err, unix.EWOULDBLOCK)
}

// isNamed reports whether f is what stands at path.
func isNamed(f *os.File, path string) bool {
	a, errA := f.Stat()
	b, errB := os.Lstat(path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// Release ends the lock.
func (l *Lock) Release() {
	if l.file != nil {
		os.Remove(l.path)
		l.file.Close()
	}
}

// sweepLock removes the file of a lock that nobody holds.
func sweepLock(path string) {
	if l := (&Lock{path: path}); l.try() == nil {
		l.Release()
	}
}
