package db

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// A snapshot is the content of a database at the time it was opened, including its write-ahead log. It takes no lock and creates no file, so
// that an ordinary user can read the store of a running daemon. The price is that others may write to the database meanwhile, which
// unchanged detects afterwards.
type snapshot struct {
	path           string
	file, log, shm *os.File // log and shm are nil where there are none
	before         state
	wal            *walIndex
	size           int64 // bytes of the database
	pageSize       int64
}

// A state is what changes when existing pages of the database file or of the log are overwritten.
type state struct {
	size       int64
	mtime      time.Time
	log        walHeader
	checkpoint uint32
}

// openSnapshot opens the files of a database. The state is recorded before anything else is read, so that unchanged sees every later write.
func openSnapshot(path string) (_ *snapshot, err error) {
	s := &snapshot{path: path}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.file, err = os.Open(path); err != nil {
		return nil, err
	}
	if s.log, err = openIfThere(path + "-wal"); err != nil {
		return nil, err
	}
	// It exists only while a program has the database open, and may be unreadable for us.
	s.shm, _ = os.Open(path + "-shm")
	if s.before, err = s.state(); err != nil {
		return nil, err
	}
	return s, nil
}

func openIfThere(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f, err
}

// state is the state of the files now.
func (s *snapshot) state() (state, error) {
	info, err := s.file.Stat()
	if err != nil {
		return state{}, err
	}
	now := state{size: info.Size(), mtime: info.ModTime()}
	if s.log != nil {
		if _, err := s.log.ReadAt(now.log[:], 0); err != nil && err != io.EOF {
			return state{}, err
		}
	}
	now.checkpoint = s.checkpoint()
	return now, nil
}

// checkpoint is the last frame of the log that anyone has started to write to the database file: field nBackfillAttempted of the log's
// index, in native byte order ("The WAL-Index File Format", section 2.3). It changes before the file does.
func (s *snapshot) checkpoint() uint32 {
	const attemptedAt = 128
	var b [4]byte
	if s.shm != nil {
		s.shm.ReadAt(b[:], attemptedAt)
	}
	return binary.NativeEndian.Uint32(b[:])
}

// unchanged reports whether everything read since the snapshot was opened is consistent: no frame of the log was written to the database
// file, and the log was not restarted. A longer log is no change.
func (s *snapshot) unchanged() bool {
	now, err := s.state()
	return err == nil && now == s.before
}

// index finds where the pages are. It is called before the first ReadAt.
func (s *snapshot) index() error {
	if err := refuseHotJournal(s.path + "-journal"); err != nil {
		return err
	}
	s.size, s.wal = s.before.size, &walIndex{}
	if s.log != nil {
		info, err := s.log.Stat()
		if err != nil {
			return err
		}
		if s.wal, err = readWAL(s.log, info.Size()); err != nil {
			return err
		}
	}
	if s.wal.pages > 0 {
		s.pageSize, s.size = s.wal.pageSize, s.wal.pages*s.wal.pageSize
	}
	return s.checkHeader()
}

// refuseHotJournal reports the rollback journal of an interrupted or running transaction. Nix has one only when configured without WAL.
func refuseHotJournal(path string) error {
	f, err := openIfThere(path)
	if f == nil || err != nil {
		return err
	}
	defer f.Close()
	magic := make([]byte, 8)
	if n, _ := f.ReadAt(magic, 0); n < len(magic) || !bytes.Equal(magic, []byte("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7")) {
		return nil
	}
	return fmt.Errorf("%s: a transaction was interrupted or is running; any Nix command run by the owner of the store repairs it", path)
}

// checkHeader checks the database's first bytes (section 1.3 of the SQLite file format).
func (s *snapshot) checkHeader() error {
	var header [headerSize]byte
	if _, err := s.ReadAt(header[:], 0); err != nil && err != io.EOF {
		return err
	}
	if !bytes.HasPrefix(header[:], []byte("SQLite format 3\x00")) {
		return fmt.Errorf("not an SQLite database")
	}
	pageSize := int64(binary.BigEndian.Uint16(header[16:]))
	if pageSize == 1 {
		pageSize = 65536
	}
	if !isPageSize(pageSize) || s.pageSize != 0 && s.pageSize != pageSize {
		return fmt.Errorf("pages of %d bytes in the database, %d in its write-ahead log", pageSize, s.pageSize)
	}
	return nil
}

// Size is the database's length in bytes.
func (s *snapshot) Size() (int64, error) { return s.size, nil }

// ReadAt reads pages from the log if they are there, else from the database file. It patches the header to say that there is no log:
// SQLite would try to open the log for writing.
func (s *snapshot) ReadAt(p []byte, off int64) (int, error) {
	if off >= s.size {
		return 0, io.EOF
	}
	want := min(int64(len(p)), s.size-off)
	done, err := s.readPages(p[:want], off)
	for i := int64(writeVersionAt); i <= writeVersionAt+1; i++ {
		if i >= off && i < off+int64(done) {
			p[i-off] = 1
		}
	}
	if err == nil && done < len(p) {
		err = io.EOF
	}
	return done, err
}

// readPages reads a range page by page, since each page may be in the log or in the database file.
func (s *snapshot) readPages(p []byte, off int64) (done int, err error) {
	if s.wal.pages == 0 {
		return s.file.ReadAt(p, off)
	}
	for done < len(p) {
		at := off + int64(done)
		page, inside := at/s.pageSize, at%s.pageSize
		piece := p[done:min(int64(len(p)), int64(done)+s.pageSize-inside)]
		var n int
		if in, ok := s.wal.content[uint32(page+1)]; ok {
			n, err = s.log.ReadAt(piece, in+inside)
		} else {
			n, err = s.file.ReadAt(piece, at)
		}
		done += n
		if n < len(piece) {
			return done, err
		}
	}
	return done, nil
}

func (s *snapshot) close() {
	for _, f := range []*os.File{s.file, s.log, s.shm} {
		f.Close()
	}
}
