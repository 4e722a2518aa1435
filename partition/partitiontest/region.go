package partitiontest

import (
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// open returns a reader of the region, which is closed when the test ends.
func (r Region) open(t testing.TB) *io.SectionReader {
	t.Helper()
	f, err := os.Open(r.File)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return io.NewSectionReader(f, r.Offset, r.Size)
}

// alone copies the region into a file of its own, for tools that take no offset.
func (r Region) alone(t testing.TB) string {
	t.Helper()
	to, err := os.CreateTemp(t.TempDir(), "alone")
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	from, err := os.Open(r.File)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	for at := r.Offset; at < r.Offset+r.Size; {
		data, end := nextData(from, at, r.Offset+r.Size)
		if _, err := io.Copy(io.NewOffsetWriter(to, data-r.Offset), io.NewSectionReader(from, data, end-data)); err != nil {
			t.Fatal(err)
		}
		at = end
	}
	if err := to.Truncate(r.Size); err != nil {
		t.Fatal(err)
	}
	return to.Name()
}

// nextData returns the next data of a file between at and limit; all of it if the file system does not report holes.
func nextData(f *os.File, at, limit int64) (data, end int64) {
	data, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return limit, limit
	case err != nil:
		return at, limit
	}
	if end, err = unix.Seek(int(f.Fd()), data, unix.SEEK_HOLE); err != nil {
		end = limit
	}
	return min(data, limit), min(end, limit)
}
