package db

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// A protection is what keeps a snapshot consistent.
type protection int

const (
	// unprotected means that there are no locks: the file system has none, or the index of the log cannot be opened. Only the state of the
	// files shows whether others have written to the database.
	unprotected protection = iota
	// alone means that no other program had the database open. One that opens it makes the index of the log first, and cannot remove it while
	// we share the lock of the database.
	alone
	// locked means that nobody can change the pages that we read.
	locked
)

// lockDatabase shares the lock of the database file, as every reader does: nobody changes the file but by checkpoints of a write-ahead log,
// and the log and its index stay. shares is false where the file system has no locks.
func (s *snapshot) lockDatabase() (shares bool, err error) {
	if pending.held(s.file) == unix.F_WRLCK { // a writer waits for its readers
		return true, errBusy
	}
	if shares, err = shared.share(s.file); !shares || err != nil {
		return shares, err
	}
	return true, s.refuseHotJournal()
}

// openLogIndex opens and locks the index of the log, if there is a log or may be one soon.
func (s *snapshot) openLogIndex(shares bool) (err error) {
	const logged = 2
	var version [1]byte
	if _, err := s.file.ReadAt(version[:], writeVersionAt); err != nil && err != io.EOF {
		return err
	}
	if shares && version[0] != logged {
		s.by = locked
		return nil
	}
	s.shm, err = openIfThere(s.path + "-shm")
	var unusable *InvalidError
	switch {
	case errors.Is(err, fs.ErrPermission), errors.As(err, &unusable):
		return nil
	case err != nil || !shares:
		return err
	case s.shm == nil:
		s.by = alone
		return nil
	}
	return s.lockLog()
}

// lockLog keeps the log from being written to the database file and from being restarted. It ignores an index that nobody has open; a program
// that opens it later finds our locks.
func (s *snapshot) lockLog() error {
	supported, err := readers.share(s.shm)
	if !supported || err != nil {
		return err
	}
	s.by = locked
	switch alive.held(s.shm) {
	case unix.F_WRLCK: // another program is making a new index
		return errBusy
	case unix.F_UNLCK:
		return nil
	}
	live, ok, err := readLogState(s.shm)
	if err == nil && !ok {
		err = errBusy
	}
	s.live = &live
	return err
}

// refuseHotJournal returns an error for the rollback journal of an interrupted transaction. Nix and Guix have one only when configured without WAL. The
// journal of a running transaction, whose writer holds a lock, does not matter: the writer waits for us before it changes the database.
func (s *snapshot) refuseHotJournal() error {
	f, err := openIfThere(s.path + "-journal")
	if f == nil || err != nil {
		return err
	}
	defer f.Close()
	magic := make([]byte, 8)
	if n, _ := f.ReadAt(magic, 0); n < len(magic) || !bytes.Equal(magic, []byte("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7")) {
		return nil
	}
	if reserved.held(s.file) == unix.F_WRLCK {
		return nil
	}
	return errors.New("a transaction was interrupted; any command of Nix or Guix that the owner of the store runs repairs it")
}

// unchanged reports whether everything read since the snapshot was opened is consistent. A longer log is no change.
func (s *snapshot) unchanged() bool {
	switch s.by {
	case locked:
		return true
	case alone:
		_, err := os.Lstat(s.path + "-shm")
		return errors.Is(err, fs.ErrNotExist)
	}
	now, err := s.state()
	return err == nil && now == s.before
}
