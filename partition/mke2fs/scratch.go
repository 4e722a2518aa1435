package mke2fs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	madedir "imprint/internal/scratch"
)

// A scratch is a directory for contents that the tools must read from files. Contents are copied into it while they are hashed, and debugfs
// reads the copy: it never opens a path of the host, where another file may lie by then.
//
// Small files are reused: to create a file takes the host's file system many times longer than to write a few blocks to an existing one.
type scratch struct {
	dir   string
	made  *madedir.Directory
	next  int     // number of the next file
	small []named // free to be written again
}

// A named is a scratch file.
type named struct {
	name string
	size int64 // bytes
}

// smallFile is the size in bytes up to which a file is kept.
const smallFile = 64 << 10

// A files is the scratch files of one batch.
type files struct {
	list  []named
	bytes int64 // that were written to them
}

func newScratch(dir string) (*scratch, error) {
	d, err := madedir.Dir(dir)
	if err != nil {
		return nil, err
	}
	return &scratch{dir: d.Path, made: d}, nil
}

func (s *scratch) remove() error { return s.made.Remove() }

// free removes the large files of a batch and keeps the small ones.
func (s *scratch) free(f *files) error {
	for _, file := range f.list {
		if file.size <= smallFile {
			s.small = append(s.small, file)
		} else if err := os.Remove(file.name); err != nil {
			return err
		}
	}
	return nil
}

// text makes a scratch file of bytes in memory.
func (s *scratch) text(f *files, content []byte) (string, error) {
	return s.file(f, int64(len(content)), func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// file makes a scratch file of size bytes, which content writes.
func (s *scratch) file(f *files, size int64, content func(io.Writer) error) (string, error) {
	file, old, err := s.open(size)
	if err != nil {
		return "", err
	}
	f.list = append(f.list, named{file.Name(), size})
	w := &holeWriter{file: file, dense: size <= smallFile}
	err = content(w)
	switch {
	case err == nil && w.at != size:
		err = fmt.Errorf("%d bytes of %d", w.at, size)
	case err == nil && size != max(old, w.end):
		err = file.Truncate(size)
	}
	f.bytes += w.written
	return file.Name(), errors.Join(err, file.Close())
}

// open opens a file that will have size bytes, and returns how many it has.
func (s *scratch) open(size int64) (*os.File, int64, error) {
	if last := len(s.small) - 1; size <= smallFile && last >= 0 {
		old := s.small[last]
		s.small = s.small[:last]
		file, err := os.OpenFile(old.name, os.O_WRONLY, 0)
		return file, old.size, err
	}
	s.next++
	file, err := os.OpenFile(filepath.Join(s.dir, strconv.Itoa(s.next)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return file, 0, err
}

// A holeWriter writes its input without blocks of zeros.
type holeWriter struct {
	file    *os.File
	dense   bool  // write zeros too, since the file has been used before
	at      int64 // bytes of input
	end     int64 // where the last write ended
	written int64 // bytes
}

// Write implements io.Writer.
func (w *holeWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n, zero := runOf(rest, w.at)
		if !zero || w.dense {
			if _, err := w.file.WriteAt(rest[:n], w.at); err != nil {
				return len(p) - len(rest), err
			}
			w.end, w.written = w.at+int64(n), w.written+int64(n)
		}
		w.at, rest = w.at+int64(n), rest[n:]
	}
	return len(p), nil
}

var zeros [blockSize]byte

// runOf returns the length of the first run of blocks of p, at offset off, that are all zeros or all not, and which of the two.
func runOf(p []byte, off int64) (n int, zero bool) {
	for n < len(p) {
		k := min(len(p)-n, int(blockSize-(off+int64(n))%blockSize))
		z := bytes.Equal(p[n:n+k], zeros[:k])
		if n > 0 && z != zero {
			break
		}
		n, zero = n+k, z
	}
	return n, zero
}

// imageName returns a path of the disk file without a question mark, after which libext2fs expects options.
func (s *scratch) imageName(file string) (string, error) {
	file, err := filepath.Abs(file)
	if err != nil || !strings.Contains(file, "?") {
		return file, err
	}
	link := filepath.Join(s.dir, "disk")
	return link, os.Symlink(file, link)
}
