// Package inflate unpacks single compressed blocks, as file systems store them: each is complete in itself, and the reader knows how many bytes it has
// at most. Blocks come from anywhere: none takes more memory than that, or time that is out of proportion to it.
package inflate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// A Func unpacks src into dst and returns the number of bytes, which is an error if it is larger than the length of dst. It is safe for concurrent use.
type Func func(dst, src []byte) (int, error)

// errLong is the error for blocks with more bytes than there is room for.
var errLong = errors.New("is longer than it may be when unpacked")

// errShort is the error for a block that ends within something.
var errShort = errors.New("ends early")

// full fills dst from a stream, which must end by then.
func full(dst []byte, r io.Reader) (n int, err error) {
	var more [1]byte
	for {
		to := dst[n:]
		if len(to) == 0 {
			to = more[:]
		}
		k, err := r.Read(to)
		if k > 0 && n == len(dst) {
			return n, errLong
		}
		n += k
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

var zlibs sync.Pool

// Zlib unpacks a stream of zlib (RFC 1950).
func Zlib(dst, src []byte) (int, error) {
	in := bytes.NewReader(src)
	r, ok := zlibs.Get().(io.ReadCloser)
	if ok {
		if err := r.(zlib.Resetter).Reset(in, nil); err != nil {
			return 0, fmt.Errorf("zlib: %w", err)
		}
	} else {
		var err error
		if r, err = zlib.NewReader(in); err != nil {
			return 0, fmt.Errorf("zlib: %w", err)
		}
	}
	defer zlibs.Put(r)
	n, err := full(dst, r)
	if err != nil {
		return n, fmt.Errorf("zlib: %w", err)
	}
	return n, nil
}

// maxDict is the largest dictionary of an xz block in bytes: that for the largest block of a squashfs, 1 MiB.
const maxDict = 1 << 20

// XZ unpacks an xz file.
func XZ(dst, src []byte) (int, error) {
	r, err := xz.NewReader(bytes.NewReader(src), maxDict)
	if err != nil {
		return 0, err
	}
	n, err := full(dst, r)
	if err != nil {
		return n, fmt.Errorf("xz: %w", err)
	}
	return n, nil
}

// zstds is a decoder for all blocks: it is safe for concurrent use, and has as many states as processors.
var zstds = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true))
})

// Zstd unpacks a frame of Zstandard (RFC 8878).
func Zstd(dst, src []byte) (int, error) {
	d, err := zstds()
	if err != nil {
		return 0, err
	}
	out, err := d.DecodeAll(src, dst[:0:len(dst)])
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return len(out), fmt.Errorf("zstd: %w", errLong)
	case err != nil:
		return len(out), fmt.Errorf("zstd: %w", err)
	}
	return len(out), nil
}
