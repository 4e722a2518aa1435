package codec

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Writer returns a writer that compresses to w, in the format of the named program: "zstd", "xz", or "none". It uses one processor. Closing it does not
// close w.
func Writer(w io.Writer, by string) (io.WriteCloser, error) {
	switch by {
	case "zstd":
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	case "xz":
		return xz.WriterConfig{DictCap: 8 << 20, CheckSum: xz.CRC64}.NewWriter(w)
	case "none":
		return nothing{w}, nil
	}
	return nil, fmt.Errorf("compression %q is not supported", by)
}

type nothing struct{ io.Writer }

// Close implements io.Closer.
func (nothing) Close() error { return nil }
