package cas

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// between is the time between attempts to lock a file.
const between = 20 * time.Millisecond

// begin creates and locks the temporary file of a content. It waits while another process holds the lock.
func (s *Store) begin(ctx context.Context, d Digest) (*os.File, error) {
	path := filepath.Join(s.dir, partial, hex.EncodeToString(d[:]))
	for {
		f, err := lock(path, os.O_CREATE)
		switch {
		case err == nil:
			if err := f.Truncate(0); err != nil {
				f.Close()
				return nil, err
			}
			return f, nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(between):
		}
	}
}

// lock opens and locks a file. The error is EWOULDBLOCK if another process holds the lock, or has removed or renamed the file meanwhile.
func lock(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|flags, 0o666)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	opened, err := f.Stat()
	named, gone := os.Lstat(path)
	if err != nil || gone != nil || !os.SameFile(opened, named) {
		f.Close()
		return nil, errors.Join(err, unix.EWOULDBLOCK)
	}
	return f, nil
}

// sweep removes the files of processes that have ended.
func (s *Store) sweep() error {
	entries, err := os.ReadDir(filepath.Join(s.dir, partial))
	for _, e := range entries {
		path := filepath.Join(s.dir, partial, e.Name())
		if f, err := lock(path, 0); err == nil {
			os.Remove(path)
			f.Close()
		}
	}
	return err
}
