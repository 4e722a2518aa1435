package partitiontest

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"imprint/internal/fault"
)

// A Volume is a file system that was read from an image.
type Volume interface {
	Explain(off int64) string
}

// An Inspector is a function that reads an image which may be damaged, and reports its faults. Its methods test it.
type Inspector[V Volume] func(image io.ReaderAt, size int64, report fault.Report) (V, error)

// Faults returns the faults of an image, and the error of reading it.
func (inspect Inspector[V]) Faults(image []byte) (faults []string, err error) {
	_, err = inspect(bytes.NewReader(image), int64(len(image)), func(f fault.Fault) { faults = append(faults, f.String()) })
	return faults, err
}

// Sound returns the volume in an image that must have no faults.
func (inspect Inspector[V]) Sound(t testing.TB, image []byte) V {
	t.Helper()
	var faults []string
	v, err := inspect(bytes.NewReader(image), int64(len(image)), func(f fault.Fault) { faults = append(faults, f.String()) })
	if err != nil || len(faults) > 0 {
		t.Fatalf("%v, and faults of an image without any:\n%s", err, strings.Join(faults, "\n"))
	}
	return v
}

// Finds fails the test unless damage to a copy of the image is a fault whose text has want in it.
func (inspect Inspector[V]) Finds(t testing.TB, image []byte, want string, damage func(image []byte)) {
	t.Helper()
	image = bytes.Clone(image)
	damage(image)
	faults, _ := inspect.Faults(image)
	if all := strings.Join(faults, "\n"); !strings.Contains(all, want) {
		t.Errorf("the faults lack %q:\n%s", want, all)
	}
}

// Flips flips n bits of a sound image, one at a time, in bytes that pick chooses. Each must be a fault, unless unchecked matches what
// Explain says about the byte: that it is content, unused, or a value that nothing else depends on.
func (inspect Inspector[V]) Flips(t testing.TB, image []byte, n int, pick func(*rand.Rand) int64, unchecked *regexp.Regexp) {
	t.Helper()
	v := inspect.Sound(t, image)
	rnd := rand.New(rand.NewPCG(1, uint64(len(image))))
	found := 0
	for range n {
		off, bit := pick(rnd), byte(1)<<rnd.IntN(8)
		image[off] ^= bit
		faults, err := inspect.Faults(image)
		image[off] ^= bit
		switch what := v.Explain(off); {
		case len(faults) > 0:
			found++
		case err != nil:
			t.Errorf("byte %d, %s: bit 0x%02x makes reading fail without a fault: %v", off, what, bit, err)
		case !unchecked.MatchString(what):
			t.Errorf("byte %d, %s: a change of bit 0x%02x is not found", off, what, bit)
		}
	}
	t.Logf("%d of %d flips found", found, n)
}

// Opened returns a reader of a file, closed when the test ends, and the file's size: the arguments of a function that reads images.
func Opened(t testing.TB, path string) (image io.ReaderAt, size int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return f, st.Size()
}
