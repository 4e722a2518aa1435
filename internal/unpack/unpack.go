// Package unpack decompresses gzip, zstd, xz, bzip2 and lzip, with any number of members, frames or streams, and brotli.
package unpack

import (
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"imprint/internal/compressed"
	"imprint/internal/scratch"
	"imprint/internal/units"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/therootcompany/xz"
)

// formats maps the names of package compressed to decompressors.
var formats = map[string]func(io.Reader) (io.Reader, error){
	"gzip":  func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	"zstd":  newZstd,
	"xz":    func(r io.Reader) (io.Reader, error) { return xz.NewReader(r, maxWindow) },
	"bzip2": func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil },
	"lzip":  newLunzip,
}

// nameless maps further formats, which have no magic number to recognise them by: callers have to know.
var nameless = map[string]func(io.Reader) (io.Reader, error){
	"brotli": func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
	"none":   func(r io.Reader) (io.Reader, error) { return io.NopCloser(r), nil }, // r stays open
}

// maxWindow is the largest window in bytes: the limit of zstd(1) without --long, and twice the window of xz -9.
const maxWindow = 128 << 20

// Knows reports whether Reader unpacks the format of the named program.
func Knows(by string) bool { return formats[by] != nil }

// Reader returns the decompressed contents of r, in the format of the named program. Besides the names of package compressed it knows "brotli"
// and "none".
func Reader(r io.Reader, by string) (io.ReadCloser, error) {
	open := formats[by]
	if open == nil {
		open = nameless[by]
	}
	if open == nil {
		return nil, fmt.Errorf("%s is not supported", by)
	}
	unpacked, err := open(r)
	if c, ok := unpacked.(io.ReadCloser); ok || err != nil {
		return c, err
	}
	return io.NopCloser(unpacked), nil
}

// A TooLargeError reports contents that do not fit on the file system of a directory.
type TooLargeError struct {
	Dir   string
	Limit int64 // bytes
}

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("unpacks to more than %s, which is what is free in %s", units.FormatBytes(e.Limit), e.Dir)
}

// reserve is the number of bytes of free space that stay free: a full disk harms more than the build.
const reserve = 64 * units.MiB

// File unpacks into an unnamed file in dir, which is gone when it is closed. It returns ctx's cause when ctx ends, and a [*TooLargeError] before
// the file system is full. shown is the name of the file in messages.
func File(ctx context.Context, dir, shown string, packed io.Reader, by string) (*os.File, error) {
	free, err := scratch.Free(dir)
	if err != nil {
		return nil, err
	}
	r, err := Reader(packed, by)
	if err != nil {
		return nil, reading(by, err)
	}
	defer r.Close()
	f, err := scratch.File(dir, shown)
	if err != nil {
		return nil, err
	}
	limit := max(0, free-reserve)
	if err := copyUpTo(ctx, f, r, limit, by); err != nil {
		f.Close()
		if errors.Is(err, errLimit) {
			err = &TooLargeError{dir, limit}
		}
		return nil, err
	}
	return f, nil
}

// Into returns a function that calls File, or returns an error with a hint for a format that Reader does not know. It is nil if dir is "".
func Into(ctx context.Context, dir, shown string) func(packed io.Reader, by string) (*os.File, error) {
	if dir == "" {
		return nil
	}
	return func(packed io.Reader, by string) (*os.File, error) {
		if !Knows(by) {
			return nil, fmt.Errorf("compressed with %s: unpack it first (%s)", by, compressed.Unpack(by))
		}
		return File(ctx, dir, shown, packed, by)
	}
}

var errLimit = errors.New("too large")

// bufferSize is the number of bytes that are unpacked at a time.
const bufferSize = 1 << 20

// copyUpTo copies at most limit bytes. Blocks of zeros become holes.
func copyUpTo(ctx context.Context, f *os.File, r io.Reader, limit int64, by string) error {
	buf, at := make([]byte, bufferSize), int64(0)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := fill(buf, r)
		if at += int64(n); at > limit {
			return errLimit
		}
		if slices.ContainsFunc(buf[:n], func(b byte) bool { return b != 0 }) {
			if _, err := f.WriteAt(buf[:n], at-int64(n)); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return f.Truncate(at)
		case err != nil:
			return reading(by, err)
		}
	}
}

// fill is like io.ReadFull, but returns io.EOF at the end of r, so that an io.ErrUnexpectedEOF of r itself, for truncated data, stays an error.
func fill(buf []byte, r io.Reader) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}

// reading returns the error of contents that cannot be unpacked. Most libraries begin theirs with the name of the format.
func reading(by string, err error) error {
	if strings.HasPrefix(err.Error(), by) {
		return fmt.Errorf("damaged: %w", err)
	}
	return fmt.Errorf("damaged: %s: %w", by, err)
}
