// Package codec compresses and expands the parts that disk formats compress separately. All functions are safe for concurrent use, and their
// results depend on their arguments alone.
package codec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// A Pack appends the compressed form of a part to dst.
type Pack func(dst, part []byte) ([]byte, error)

// An Unpack fills dst from its compressed form at the start of stored. Any bytes may follow that.
type Unpack func(dst, stored []byte) error

// Zstd returns a Pack that makes one frame of each part, with its size and a checksum. The level is that of the zstd program, 1 to 19; the
// library maps it to one of four. At most workers parts are compressed at a time, each in a few MiB of memory.
func Zstd(level, workers int) (Pack, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)), zstd.WithEncoderConcurrency(workers),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(4<<20), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, err
	}
	return func(dst, part []byte) ([]byte, error) { return e.EncodeAll(part, dst), nil }, nil
}

// maxWindow is the largest window in bytes that is accepted. No part is larger.
const maxWindow = 64 << 20

var zstdReaders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		panic(err) // the options are constant
	}
	return d
}}

// Unzstd is the [Unpack] of zstd frames.
func Unzstd(dst, stored []byte) error {
	d := zstdReaders.Get().(*zstd.Decoder)
	defer zstdReaders.Put(d)
	if err := d.Reset(bytes.NewReader(stored)); err != nil {
		return err
	}
	return fill("zstd", dst, d)
}

// fill fills dst from r.
func fill(name string, dst []byte, r io.Reader) error {
	_, err := io.ReadFull(r, dst)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("%s data: %w", name, err)
	}
	return nil
}

// Deflate returns a Pack of raw deflate (RFC 1951). The level is 1 to 9. The window is in bytes; 0 means the usual 32 KiB. With any other
// window the level is ignored.
func Deflate(level, window int) Pack { return deflate(level, window, (*flate.Writer).Close) }

// DeflatePart is like Deflate for a part that others follow: the output ends at a whole byte, and is not marked as the last.
func DeflatePart(level int) Pack { return deflate(level, 0, (*flate.Writer).Flush) }

func deflate(level, window int, end func(*flate.Writer) error) Pack {
	writers := sync.Pool{New: func() any {
		w, err := flate.NewWriter(nil, level)
		if window > 0 {
			w, err = flate.NewWriterWindow(nil, window)
		}
		if err != nil {
			panic(err) // only for a level that callers refuse
		}
		return w
	}}
	return func(dst, part []byte) ([]byte, error) {
		w := writers.Get().(*flate.Writer)
		defer writers.Put(w)
		buf := bytes.NewBuffer(dst)
		w.Reset(buf)
		if _, err := w.Write(part); err != nil {
			return nil, err
		}
		err := end(w)
		return buf.Bytes(), err
	}
}

var inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// Inflate is the [Unpack] of raw deflate.
func Inflate(dst, stored []byte) error {
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	if err := r.(flate.Resetter).Reset(bytes.NewReader(stored), nil); err != nil {
		return err
	}
	return fill("deflate", dst, r)
}
