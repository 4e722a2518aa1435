package hosttree

import (
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"imprint/internal/compressed"
	"imprint/internal/tree"
)

// blockSize is the unit of a tar archive in bytes: a header is one block, and contents are padded to whole blocks.
const blockSize = 512

func roundUp(n int64) int64 { return (n + blockSize - 1) &^ (blockSize - 1) }

// blocks reads an archive in order, and skips contents by seeking.
type blocks struct {
	archive *archive
	pos     int64
	buf     []byte // the bytes from at on, with capacity for a window
	at      int64
}

// window is the number of bytes that are read at once: enough for many headers of small files in one system call.
const window = 32 << 10

func newBlocks(a *archive) *blocks { return &blocks{archive: a, buf: make([]byte, 0, window)} }

// Read implements io.Reader.
func (b *blocks) Read(p []byte) (int, error) {
	if b.pos >= b.archive.size {
		return 0, io.EOF
	}
	if b.pos < b.at || b.pos >= b.at+int64(len(b.buf)) {
		if err := b.load(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.buf[b.pos-b.at:])
	b.pos += int64(n)
	return n, nil
}

// load fills the buffer from the current position on.
func (b *blocks) load() error {
	b.buf = b.buf[:min(window, b.archive.size-b.pos)]
	b.at = b.pos
	if n, err := b.archive.ReadAt(b.buf, b.at); n < len(b.buf) {
		b.buf = b.buf[:0]
		return err
	}
	return nil
}

// Seek implements io.Seeker, from the current position only: package archive/tar uses no other.
func (b *blocks) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekCurrent || offset < 0 || offset > b.archive.size-b.pos {
		return 0, io.ErrUnexpectedEOF
	}
	b.pos += offset
	return b.pos, nil
}

// plain returns an archive as it is, or what a compressed one unpacks to. r, its reader, is then closed.
func plain(a *archive, r *fileReader, o TarOptions) (*archive, error) {
	by, err := compressedBy(a)
	if err != nil || by == "" || o.Unpack == nil {
		return a, err
	}
	f, err := o.Unpack(io.NewSectionReader(r, 0, a.size), by)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if a, err = ofFile(f, a.path); err == nil {
		r.Close()
	}
	return a, err
}

// Unpacked returns the content of a file or, if it is compressed, of the file that unpack makes of it, which stays open. A nil unpack leaves it
// compressed. Errors are [*fs.PathError].
func Unpacked(path string, unpack func(packed io.Reader, by string) (*os.File, error)) (tree.Blob, error) {
	f, err := lookAt(path)
	if err != nil {
		return nil, err
	}
	r, err := f.open()
	if err != nil {
		return nil, err
	}
	a, err := plain(&archive{r, path, f.size}, r, TarOptions{Unpack: unpack})
	if err != nil {
		r.Close()
		return nil, pathError("read", path, err)
	}
	kept := a.ReaderAt.(*fileReader)
	if kept == r {
		return f, r.Close()
	}
	runtime.AddCleanup(kept, func(fd int) { unix.Close(fd) }, kept.fd)
	return &slice{a, 0, a.size}, nil
}

// ofFile returns an archive in an open file, which may be closed then. Messages name path.
func ofFile(f *os.File, path string) (*archive, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	size := info.Size()
	return &archive{&fileReader{fd: fd, file: &file{name: path, size: size}}, path, size}, nil
}

// compressedBy returns the program that has compressed an archive, or "".
func compressedBy(a *archive) (string, error) {
	begin := make([]byte, min(compressed.Head, a.size))
	if n, err := a.ReadAt(begin, 0); n < len(begin) {
		return "", err
	}
	return compressed.By(begin), nil
}

func refuseCompressed(a *archive) error {
	by, err := compressedBy(a)
	if err == nil && by != "" {
		return fmt.Errorf("compressed with %s: unpack it first (%s)", by, compressed.Unpack(by))
	}
	return err
}
