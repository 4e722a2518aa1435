package host

import (
	"strings"

	"imprint/closure"
)

// maxScanned is the size in bytes up to which files are searched for store paths: configuration and scripts are smaller.
const maxScanned = 64 << 10

// A smallText keeps what is written to it, but nothing of a text longer than maxScanned.
type smallText struct {
	strings.Builder
	long     bool
	mentions []closure.Path
}

// Write implements io.Writer.
func (s *smallText) Write(p []byte) (int, error) {
	if s.long = s.long || s.Len()+len(p) > maxScanned; s.long {
		s.Reset()
		return len(p), nil
	}
	return s.Builder.Write(p)
}

// WriteZeros implements tree.ZeroWriter.
func (s *smallText) WriteZeros(n int64) error {
	_, err := s.Write(make([]byte, min(n, maxScanned+1)))
	return err
}
