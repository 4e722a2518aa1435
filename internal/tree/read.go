package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrChanged is matched by errors about content that is shorter or longer than its blob's size, because the source has changed since.
var ErrChanged = errors.New("changed while it was read")

// ReadAll returns the bytes of a blob of at most limit bytes; a larger one is refused before it is opened. Errors match [ErrChanged]
// when the content is shorter or longer than its size.
func ReadAll(b Blob, limit int64) ([]byte, error) {
	if b.Size() > limit {
		return nil, fmt.Errorf("read %s: %d bytes, more than the limit of %d", HostPath(b), b.Size(), limit)
	}
	return read(b, b.Size())
}

// ReadHead returns the first n bytes of a blob, or all of a smaller one.
func ReadHead(b Blob, n int64) ([]byte, error) { return read(b, min(n, b.Size())) }

// read returns the first n bytes. The spare byte lets ReadNext notice that the content has grown.
func read(b Blob, n int64) ([]byte, error) {
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	p := make([]byte, n, n+1)
	if ended, err := ReadNext(r, b, p, 0); err != nil || ended || n < b.Size() {
		return p, err
	}
	return p, CheckEnd(r, b)
}

// ReadFull reads len(p) bytes from off on through a reader of b, none of them after the end of b. An earlier end of the content is an
// error that matches [ErrChanged].
func ReadFull(r io.ReaderAt, b Blob, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s %w: it ends at byte %d of %d", HostPath(b), ErrChanged, off+int64(n), b.Size())
	}
	return err
}

// CheckEnd returns an error that matches [ErrChanged] if content is longer than its blob's Size.
func CheckEnd(r io.ReaderAt, b Blob) error {
	var one [1]byte
	if n, err := r.ReadAt(one[:], b.Size()); n > 0 {
		return grown(b)
	} else if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func grown(b Blob) error {
	return fmt.Errorf("%s %w: it is longer than its %d bytes", HostPath(b), ErrChanged, b.Size())
}

// ReadNext is [ReadFull] for reading a blob to its end. If p is the last part and has capacity for one more byte, it tries to read that too,
// so that noticing a source that has grown costs no extra system call: ended then reports that the content ends where it should. If ended is
// false after the last part, call [CheckEnd].
func ReadNext(r io.ReaderAt, b Blob, p []byte, off int64) (ended bool, err error) {
	if off+int64(len(p)) < b.Size() || cap(p) == len(p) {
		return false, ReadFull(r, b, p, off)
	}
	n, err := r.ReadAt(p[:len(p)+1], off)
	switch {
	case n > len(p):
		return false, grown(b)
	case n < len(p):
		return false, ReadFull(r, b, p[n:], off+int64(n)) // says what is wrong
	case err == nil || errors.Is(err, io.EOF):
		return true, nil
	}
	return false, err
}

// copyBuffer is the number of bytes that Copy reads at a time by default: enough to make the system call cheap, and few enough to stay in the
// second-level cache for a hash that they are written to.
const copyBuffer = 256 << 10

// Copy writes the content of a blob to w, reading into buf, or into a buffer of its own if buf is empty. It returns ctx's cause when ctx ends.
// Errors match [ErrChanged] if the content is shorter or longer than its size; Copy never writes more than the size. If w is a [ZeroWriter] and
// the reader a [DataReader], holes are not read.
func Copy(ctx context.Context, w io.Writer, b Blob, buf []byte) error {
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if len(buf) == 0 {
		buf = make([]byte, min(copyBuffer, b.Size()+1))
	}
	ended := false
	zeros, _ := w.(ZeroWriter)
	for off, size := int64(0), b.Size(); off < size; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p := buf[:min(int64(len(buf)), size-off):len(buf)]
		if ended, err = ReadNext(r, b, p, off); err != nil {
			return err
		}
		if _, err := w.Write(p); err != nil {
			return err
		}
		off += int64(len(p))
		if zeros == nil || !isZero(p) {
			continue
		}
		hole := min(NextData(r, off), size) - off // zeros were read: there may be more of them
		if err := zeros.WriteZeros(hole); err != nil {
			return err
		}
		off += hole
	}
	if ended {
		return nil
	}
	return CheckEnd(r, b)
}
