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

// A Lock keeps other processes away from a name in a directory. It is a file beside that name: a lock on the directory itself
// would conflict with the user's own, as in `flock DIR imprint …`, which would wait for itself.
type Lock struct {
	path string
	file *os.File // nil on a file system without locks
}

// lockNames matches the names of lock files.
var lockNames = regexp.MustCompile(`^\.imprint-lock-[0-9a-f]{16}$`)

// patience is the time that Hold waits for another process; between is the time between attempts.
const (
	patience = time.Minute
	between  = 5 * time.Millisecond
)

// Hold locks a path, which need not exist. It waits for another process up to a minute. On a file system without locks it
// locks nothing.
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

// try takes the lock, or returns EWOULDBLOCK. The last holder removes the file, so a lock on a file that was removed meanwhile
// does not count.
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

// held reports whether an error of try means that another process has the lock. Another user's lock file may not even be
// readable.
func (l *Lock) held(err error) bool {
	if _, gone := os.Lstat(l.path); errors.Is(err, unix.EACCES) && gone == nil {
		return true
	}
	return errors.Is(err, unix.EWOULDBLOCK)
}

// isNamed reports whether f is the file at path.
func isNamed(f *os.File, path string) bool {
	a, errA := f.Stat()
	b, errB := os.Lstat(path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// Release releases the lock.
func (l *Lock) Release() {
	if l.file != nil {
		os.Remove(l.path)
		l.file.Close()
	}
}

// sweepLock removes a lock file that nobody holds.
func sweepLock(path string) {
	if l := (&Lock{path: path}); l.try() == nil {
		l.Release()
	}
}
