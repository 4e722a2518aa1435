package objects

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a lock is waited for; between is the time between attempts.
const (
	patience = 20 * time.Second
	between  = 5 * time.Millisecond
)

// ErrBusy is matched by errors about a lock that another process holds for too long.
var ErrBusy = errors.New("is in use by another process")

// Lock keeps others away from a name of the store: all of them if it is exclusive, else those who want it exclusively. It waits for them up to
// 20 seconds; the error then matches [ErrBusy]. The lock ends with the process at the latest.
func (s *Store) Lock(ctx context.Context, name string, exclusive bool) (release func(), err error) {
	if err := s.make(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_RDONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	how := unix.LOCK_SH | unix.LOCK_NB
	if exclusive {
		how = unix.LOCK_EX | unix.LOCK_NB
	}
	late := time.After(patience)
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			f.Close()
			return nil, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-late:
			f.Close()
			return nil, fmt.Errorf("%s %w (its lock is %s)", s.dir, ErrBusy, f.Name())
		case <-time.After(between):
		}
	}
}
