package locks

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// A kind is a kind of lock.
type kind struct {
	flock int
	fcntl int16
}

var (
	shared    = kind{unix.LOCK_SH, unix.F_RDLCK}
	exclusive = kind{unix.LOCK_EX, unix.F_WRLCK}
)

// lock takes a lock, and waits for those of others until ctx ends.
func lock(ctx context.Context, f *os.File, k kind) error {
	for {
		err := try(f, k)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// try takes a lock. The error matches EWOULDBLOCK if another process has it.
func try(f *os.File, k kind) error {
	if err := unix.Flock(int(f.Fd()), k.flock|unix.LOCK_NB); err != nil {
		return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	if err := control(f, k.fcntl); err != nil {
		unix.Flock(int(f.Fd()), unix.LOCK_UN)
		return err
	}
	return nil
}

// control takes or changes the lock of fcntl, which belongs to the open file.
func control(f *os.File, kind int16) error {
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind})
	if errors.Is(err, unix.EACCES) {
		err = unix.EWOULDBLOCK
	}
	if err != nil {
		return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return nil
}

// Share takes a lock that others may share at the path of a file, which is created. It ends when the file is closed. Programs hold that of
// db/big-lock while they have a store open, so that its schema does not change.
func Share(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(ctx, f, shared); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Path locks the path of an item on this machine, beside which the lock is a file. release ends that.
func Path(ctx context.Context, path string) (release func(), err error) {
	name := path + ".lock"
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := lock(ctx, f, exclusive); err != nil {
			f.Close()
			return nil, err
		}
		// One who ends the lock removes the file, and marks it for those who wait for it.
		if info, err := f.Stat(); err == nil && info.Size() == 0 {
			return func() { os.Remove(name); f.WriteString("d"); f.Close() }, nil
		}
		f.Close()
	}
}
