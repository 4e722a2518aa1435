package erofs

import (
	"fmt"
	"strings"

	"imprint/internal/repro"
	"imprint/internal/units"
)

// Options describe the file system to lay out. The zero value is the smallest one.
type Options struct {
	Size    int64      // bytes of the region; 0: exactly what is needed
	MinSize int64      // bytes that the region has at least when Size is 0
	Label   string     // 15 bytes at most
	UUID    repro.UUID // of the file system
	Epoch   int64      // seconds since 1970: when the file system was made; inodes with this time take 32 bytes instead of 64
}

// A TooSmallError reports that a tree does not fit into the size given.
type TooSmallError struct {
	Needed, Given int64 // bytes
}

// Error implements error.
func (e *TooSmallError) Error() string {
	return fmt.Sprintf("lay out EROFS: %d bytes (%s) are needed, %d bytes (%s) are given",
		e.Needed, units.FormatBytes(e.Needed), e.Given, units.FormatBytes(e.Given))
}

// maxSize bounds the sizes in Options, so that sums of them do not overflow.
const maxSize = 1 << 56

// maxLabel leaves room for a NUL in the 16 bytes of volume_name: Linux 6.1 does not mount a file system without it.
const maxLabel = 15

func (o *Options) check() error {
	switch {
	case o.Size < 0 || o.Size > maxSize || o.MinSize < 0 || o.MinSize > maxSize:
		return fmt.Errorf("lay out EROFS: size %d or smallest size %d is not within 0 and %d", o.Size, o.MinSize, int64(maxSize))
	case len(o.Label) > maxLabel || strings.ContainsRune(o.Label, 0):
		return fmt.Errorf("lay out EROFS: label %q has %d bytes, %d are allowed, none of them NUL", o.Label, len(o.Label), maxLabel)
	case o.Epoch < 0:
		return fmt.Errorf("lay out EROFS: epoch %d is before 1970", o.Epoch)
	}
	return nil
}
