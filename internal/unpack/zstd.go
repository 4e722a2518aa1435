package unpack

import (
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// decoders are those not in use. A new one for each of many small files would take longer to make than to use.
var decoders sync.Pool

// newZstd returns a decoder that is used again after it was closed.
func newZstd(r io.Reader) (io.Reader, error) {
	if z, ok := decoders.Get().(*zstd.Decoder); ok {
		return &unzstd{z}, z.Reset(r)
	}
	z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return &unzstd{z}, nil
}

// An unzstd is a decoder in use.
type unzstd struct{ z *zstd.Decoder }

// Read implements io.Reader.
func (u *unzstd) Read(p []byte) (int, error) {
	if u.z == nil {
		return 0, io.ErrClosedPipe
	}
	return u.z.Read(p)
}

// Close implements io.Closer.
func (u *unzstd) Close() error {
	if u.z == nil {
		return nil
	}
	if err := u.z.Reset(nil); err == nil {
		decoders.Put(u.z)
	}
	u.z = nil
	return nil
}
