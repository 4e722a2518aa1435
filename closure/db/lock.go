package db

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// A span is a range of bytes that SQLite locks, in the database or in the index of its log. Most lie beyond the end of the file.
type span struct{ start, length int64 }

// The locks of a database file (os_unix.c): a reader holds shared, whose holders a writer without a log waits for.
var (
	pending  = span{0x40000000, 1}
	reserved = span{0x40000001, 1}
	shared   = span{0x40000002, 510}
)

// The locks of the index of a log ("The WAL-Index File Format", section 2.3.1). Nobody writes frames to the database file while read lock 0 is
// shared, nor restarts the log while read lock 1 is. All programs that have the file open share alive; one that gets it exclusively clears
// the file, since its content is that of a crash.
var (
	readers = span{123, 2} // the read locks 0 and 1
	alive   = span{128, 1}
)

// errBusy is the error for a lock that another program holds.
var errBusy = errors.New("another program has locked it")

// share takes a lock as a reader does, for which read permission is enough. It is held until the file is closed. supported is false if the
// file system has no locks; the error is [errBusy] if a writer holds the lock.
func (l span) share(f *os.File) (supported bool, err error) {
	err = l.control(f, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return true, errBusy
	}
	return err == nil, nil
}

// held returns how other programs hold a lock: F_RDLCK, F_WRLCK, or F_UNLCK for not at all.
func (l span) held(f *os.File) int16 {
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if l.control(f, unix.F_OFD_GETLK, &lock) != nil {
		return unix.F_UNLCK
	}
	return lock.Type
}

func (l span) control(f *os.File, command int, lock *unix.Flock_t) error {
	lock.Start, lock.Len = l.start, l.length
	for {
		if err := unix.FcntlFlock(f.Fd(), command, lock); err != unix.EINTR {
			return err
		}
	}
}
