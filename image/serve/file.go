package serve

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"syscall"

	"imprint/image/disk"
	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// File opens the disk of the image that was opened from the file at path. digest is the digest of its bytes; "" if it is unknown. The caller
// closes the file, after the disk.
func File(path string, d *disk.Disk, digest string) (*Disk, error) {
	s := newDisk(filepath.Base(path), d.Size)
	src := &source{}
	var err error
	if src.print, err = fingerprintOf(path); err != nil {
		return nil, err
	}
	s.data = []tree.Range{{Off: 0, Len: d.Size}}
	if f, ok := d.Image().(seeker); ok {
		if s.data, err = dataIn(f, d.Size); err != nil {
			return nil, err
		}
	}
	for _, r := range d.Regions {
		if r.In == nil {
			s.regions = append(s.regions, region{r.String(), []tree.Range{{Off: r.Offset, Len: r.Size}}})
		}
	}
	s.read = func(p []byte, off int64) error {
		if err := src.same(path); err != nil {
			return err
		}
		if _, err := d.Image().ReadAt(p, off); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return src.same(path)
	}
	s.tag = func() (Identity, error) {
		if digest == "" {
			return sha256.Sum256([]byte(fmt.Sprint(src.print))), nil
		}
		return sha256.Sum256([]byte(digest)), nil
	}
	return s, nil
}

// isErrno reports whether err is the system's error want.
func isErrno(err error, want unix.Errno) bool {
	var got syscall.Errno
	return errors.As(err, &got) && got == want
}
