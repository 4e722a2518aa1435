// Package unpack decompresses gzip, zstd, xz and bzip2, each with as many members, frames or streams as there are, and brotli.
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
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// formats are what [Reader] unpacks, by the names of package compressed.
var formats = map[string]func(io.Reader) (io.Reader, error){
	"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	"zstd": func(r io.Reader) (io.Reader, error) {
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	},
	"xz":    func(r io.Reader) (io.Reader, error) { return xz.NewReader(r, maxWindow) },
	"bzip2": func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil },
}

// nameless are further formats, which cannot be told from other data: whoever unpacks them was told.
var nameless = map[string]func(io.Reader) (io.Reader, error){
	"brotli": func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
	"none":   func(r io.Reader) (io.Reader, error) { return io.NopCloser(r), nil }, // which stays open
}

// maxWindow is how many bytes of memory the text before may take to which compressed data refers: what zstd(1) takes without --long, and
// twice what xz -9 needs.
const maxWindow = 128 << 20

// Knows reports whether Reader unpacks what the named program has compressed.
func Knows(by string) bool { return formats[by] != nil }

// Reader returns the contents of what the named program has compressed. Besides those that package compressed recognises it knows "brotli",
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

// A TooLargeError reports contents that do not fit where they are unpacked.
type TooLargeError struct {
	Dir   string
	Limit int64 // bytes
}

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("unpacks to more than %s, which is what is free in %s", units.FormatBytes(e.Limit), e.Dir)
}

// reserve is how many bytes of free space stay free: a full disk harms more than the build.
const reserve = 64 * units.MiB

// File unpacks into a file in dir that is gone when it is closed. It stops with ctx's cause when ctx ends, and with a [*TooLargeError] before
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

// Into returns a function that is File for what it is given, and refuses what Reader does not unpack; nil if dir is "".
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

// bufferSize is how many bytes are unpacked at a time.
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

// fill is io.ReadFull, but keeps the difference between the end of r and an error of r that says that its data is cut off.
func fill(buf []byte, r io.Reader) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}

// reading is the error of contents that cannot be unpacked. Most libraries begin theirs with the name of the format.
func reading(by string, err error) error {
	if strings.HasPrefix(err.Error(), by) {
		return fmt.Errorf("damaged: %w", err)
	}
	return fmt.Errorf("damaged: %s: %w", by, err)
}
