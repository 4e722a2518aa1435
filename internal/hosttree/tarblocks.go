package hosttree

import (
	"bytes"
	"fmt"
	"io"
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

// window is how many bytes are read at once: enough to get many headers of small files with one system call.
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

// magics are the first bytes of compressed files. That of bzip2 includes the magic number of its first block: a tar archive begins with a
// file name, which may well be "BZh".
var magics = []struct{ bytes, tool string }{
	{"\x1f\x8b", "gzip"},
	{"\x28\xb5\x2f\xfd", "zstd"},
	{"\xfd7zXZ\x00", "xz"},
	{"BZh?1AY&SY", "bzip2"},
	{"\x04\x22\x4d\x18", "lz4"},
	{"\x1f\x9d", "compress"},
	{"LZIP\x01", "lzip"},
}

// refuseCompressed returns an error that names the tool for a compressed archive: its headers would only be reported as damaged.
func refuseCompressed(a *archive) error {
	begin := make([]byte, min(16, a.size))
	if n, err := a.ReadAt(begin, 0); n < len(begin) {
		return err
	}
	if len(begin) > 3 && bytes.HasPrefix(begin, []byte("BZh")) {
		begin[3] = '?' // the block size
	}
	for _, m := range magics {
		if bytes.HasPrefix(begin, []byte(m.bytes)) {
			return fmt.Errorf("compressed with %s: unpack it first", m.tool)
		}
	}
	return nil
}
