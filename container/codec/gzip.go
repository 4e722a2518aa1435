package codec

import (
	"io"

	"github.com/klauspost/compress/gzip"
)

// Gunzip returns a reader of what is compressed as one or several members of gzip. It compares their checksums.
func Gunzip(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }
