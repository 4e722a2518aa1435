// Package framed reads and writes the encoding of Nix's archives, export streams and daemon protocol: numbers of 64 bits, little-endian, and
// strings, each the length as a number, the bytes, and zeros up to a multiple of 8 (serialise.cc).
package framed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"imprint/internal/tree"
)

// AppendNumber appends a number.
func AppendNumber(b []byte, n uint64) []byte { return binary.LittleEndian.AppendUint64(b, n) }

// AppendString appends a string.
func AppendString(b []byte, s string) []byte {
	b = append(AppendNumber(b, uint64(len(s))), s...)
	return append(b, zeros[:-len(s)&7]...)
}

var zeros [8]byte

// window is the number of bytes that are read at a time. String reads no longer strings.
const window = 16 << 10

// A Reader reads numbers and strings from a blob. It does not read the strings that it skips.
type Reader struct {
	r     io.ReaderAt
	blob  tree.Blob
	at    int64  // offset of the next byte
	buf   []byte // bytes from start on
	start int64
}

// NewReader returns a Reader of the blob b, read through r, that begins at an offset.
func NewReader(r io.ReaderAt, b tree.Blob, off int64) *Reader {
	return &Reader{r: r, blob: b, at: off, buf: make([]byte, 0, max(0, min(window, b.Size()-off))), start: off}
}

// Offset returns the offset of the next byte in the blob.
func (r *Reader) Offset() int64 { return r.at }

// A FormatError reports data that is not encoded correctly.
type FormatError struct {
	Offset int64 // in bytes
	Text   string
}

// Error implements error.
func (e *FormatError) Error() string { return fmt.Sprintf("damaged at byte %d: %s", e.Offset, e.Text) }

// Errorf returns a FormatError at the offset of the next byte.
func (r *Reader) Errorf(format string, args ...any) error {
	return &FormatError{r.at, fmt.Sprintf(format, args...)}
}

// peek returns the next n bytes, at most a window. They are valid until the next call.
func (r *Reader) peek(n int64) ([]byte, error) {
	if left := r.blob.Size() - r.at; n > left {
		return nil, r.Errorf("it ends %d bytes too early", n-left)
	}
	if from := r.at - r.start; from >= 0 && from+n <= int64(len(r.buf)) {
		return r.buf[from : from+n], nil
	}
	r.start, r.buf = r.at, r.buf[:min(int64(cap(r.buf)), r.blob.Size()-r.at)]
	if got, err := r.r.ReadAt(r.buf, r.at); got < len(r.buf) {
		r.buf = r.buf[:0]
		if err == nil || errors.Is(err, io.EOF) {
			err = tree.ErrChanged
		}
		return nil, fmt.Errorf("read %s: %w", tree.HostPath(r.blob), err)
	}
	return r.buf[:n], nil
}

// Number reads a number.
func (r *Reader) Number() (uint64, error) {
	b, err := r.peek(8)
	if err != nil {
		return 0, err
	}
	r.at += 8
	return binary.LittleEndian.Uint64(b), nil
}

// String reads a string of at most limit bytes, which is less than 16 KiB. The result is valid until the next call.
func (r *Reader) String(limit int64) ([]byte, error) {
	n, err := r.Number()
	if err != nil {
		return nil, err
	}
	if n > uint64(limit) {
		r.at -= 8
		return nil, r.Errorf("a text of %d bytes where at most %d are expected", n, limit)
	}
	size := int64(n)
	b, err := r.peek(size + -size&7)
	if err != nil {
		return nil, err
	}
	if err := r.checkPadding(b[size:]); err != nil {
		return nil, err
	}
	r.at += int64(len(b))
	return b[:size], nil
}

// Expect reads strings, and returns a FormatError unless they are equal to words.
func (r *Reader) Expect(words ...string) error {
	for _, want := range words {
		at := r.at
		got, err := r.String(window - 8)
		if err != nil {
			return err
		}
		if string(got) != want {
			r.at = at
			return r.Errorf("%q is missing", want)
		}
	}
	return nil
}

// Skip skips a string of any length, and returns the range of its bytes in the blob.
func (r *Reader) Skip() (tree.Range, error) {
	n, err := r.Number()
	if err != nil {
		return tree.Range{}, err
	}
	if left := r.blob.Size() - r.at; n > uint64(left) {
		return tree.Range{}, r.Errorf("it ends %d bytes too early", n-uint64(left))
	}
	content := tree.Range{Off: r.at, Len: int64(n)}
	r.at = content.End()
	padding, err := r.peek(-content.Len & 7)
	if err != nil {
		return tree.Range{}, err
	}
	if err := r.checkPadding(padding); err != nil {
		return tree.Range{}, err
	}
	r.at += int64(len(padding))
	return content, nil
}

func (r *Reader) checkPadding(b []byte) error {
	for _, c := range b {
		if c != 0 {
			return r.Errorf("its padding is not zero")
		}
	}
	return nil
}
