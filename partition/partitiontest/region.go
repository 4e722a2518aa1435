package partitiontest

import (
	"io"
	"os"
	"testing"
)

// open gives a reader of the region until the test ends.
func (r Region) open(t testing.TB) *io.SectionReader {
	t.Helper()
	f, err := os.Open(r.File)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return io.NewSectionReader(f, r.Offset, r.Size)
}

// alone copies the region into a file of its own, for tools that take no offset. Zeros become holes.
func (r Region) alone(t testing.TB) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "alone")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	from, p := r.open(t), make([]byte, 64<<10)
	for at := int64(0); at < r.Size; at += int64(len(p)) {
		n, err := from.ReadAt(p, at)
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if allZero(p[:n]) {
			continue
		}
		if _, err := f.WriteAt(p[:n], at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(r.Size); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
