package db

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A snapshot is the content of a database at the time it was opened, including its write-ahead log. It creates no file and needs no
// permission but to read, so that an ordinary user can read the store of a running daemon. It takes the locks that SQLite's own readers
// take, as far as they are to be had: see [protection].
type snapshot struct {
	path           string
	file, log, shm *os.File // log and shm are nil where there are none
	by             protection
	live           *logState // nil when nobody has the log's index open
	before         state
	wal            *walIndex
	size           int64 // bytes of the database
	pageSize       int64
	mayRead        int64 // bytes: a bound on the work that a hostile database can cause
	failed         error // the first error of a read
}

// A state is the state of the files, which changes when existing pages of the database file or of the log are overwritten.
type state struct {
	size       int64
	mtime      time.Time
	log        walHeader
	checkpoint uint32
}

// openSnapshot opens a database, with locks unless lockless is true. The error is [errBusy] if another program holds a lock.
func openSnapshot(path string, locks bool) (_ *snapshot, err error) {
	s := &snapshot{path: path, by: unprotected, mayRead: mayRead}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.file, err = openRegular(path); err != nil {
		return nil, err
	}
	shares := false
	if locks {
		if shares, err = s.lockDatabase(); err != nil {
			return nil, err
		}
	}
	if err = s.openLogIndex(shares); err != nil {
		return nil, err
	}
	if s.log, err = openIfThere(path + "-wal"); err != nil {
		return nil, err
	}
	s.before, err = s.state()
	return s, err
}

// openRegular opens a regular file. Any other kind is an error, since reading it might block or never end.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = invalid("%s is not a regular file", filepath.Base(path))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func openIfThere(path string) (*os.File, error) {
	f, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f, err
}

// state returns the current state of the files.
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

// checkpoint returns the last frame of the log that any program has begun to write to the database file: field nBackfillAttempted of the log's
// index, in native byte order ("The WAL-Index File Format", section 2.3). It changes before the file does.
func (s *snapshot) checkpoint() uint32 {
	const attemptedAt = 128
	var b [4]byte
	if s.shm != nil {
		s.shm.ReadAt(b[:], attemptedAt)
	}
	return binary.NativeEndian.Uint32(b[:])
}

// index finds where the pages are. It is called before the first ReadAt.
func (s *snapshot) index() (err error) {
	s.size, s.wal = s.before.size, &walIndex{}
	if s.log != nil && !(s.live != nil && s.live.frames == 0) {
		if s.wal, err = s.readLog(); err != nil {
			return err
		}
	}
	if s.wal.pages > 0 {
		s.pageSize, s.size = s.wal.pageSize, s.wal.pages*s.wal.pageSize
	}
	return s.checkHeader()
}

// readLog indexes the log. Programs that have it open say how much of it is committed.
func (s *snapshot) readLog() (*walIndex, error) {
	info, err := s.log.Stat()
	if err != nil {
		return nil, err
	}
	most := uint32(math.MaxUint32)
	if s.live != nil {
		most = s.live.frames
	}
	x, err := readWAL(s.log, info.Size(), most)
	if err == nil && s.live != nil && (x.frames != most || !bytes.Equal(x.header[16:24], s.live.salts[:])) {
		return nil, invalid("its write-ahead log has %d intact frames, of %d that are committed", x.frames, most)
	}
	return x, err
}

// checkHeader checks the database's first bytes (section 1.3 of the SQLite file format).
func (s *snapshot) checkHeader() error {
	var header [headerSize]byte
	if _, err := s.ReadAt(header[:], 0); err != nil && err != io.EOF {
		return err
	}
	if !bytes.HasPrefix(header[:], []byte("SQLite format 3\x00")) {
		return invalid("not an SQLite database")
	}
	pageSize := int64(binary.BigEndian.Uint16(header[16:]))
	if pageSize == 1 {
		pageSize = 65536
	}
	if !isPageSize(pageSize) || s.pageSize != 0 && s.pageSize != pageSize {
		return invalid("pages of %d bytes in the database, %d in its write-ahead log", pageSize, s.pageSize)
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
	if s.mayRead -= want; s.mayRead < 0 {
		return 0, s.fail(invalid("reading it takes too many pages: they form loops, or an index is missing"))
	}
	done, err := s.readPages(p[:want], off)
	for i := int64(writeVersionAt); i <= writeVersionAt+1; i++ {
		if i >= off && i < off+int64(done) {
			p[i-off] = 1
		}
	}
	switch {
	case err != nil && err != io.EOF:
		err = s.fail(err)
	case done < len(p):
		err = io.EOF
	}
	return done, err
}

// fail keeps an error, since SQLite reports only that there was one.
func (s *snapshot) fail(err error) error {
	s.failed = cmp.Or(s.failed, err)
	return err
}

// readPages reads bytes that may lie in several pages, each from its last committed frame in the log, if there is one, or from the database
// file.
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
