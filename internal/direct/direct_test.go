package direct

import (
	"bytes"
	"errors"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"imprint/internal/hosttest"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// open returns a file with a pool, and removes them at the end of the test. It skips the test where there are no direct writes.
func open(t testing.TB) *File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	twice, err := os.OpenFile(file.Name(), os.O_WRONLY|unix.O_DIRECT, 0)
	if err != nil {
		t.Skipf("no direct writes here: %v", err)
	}
	pool, err := NewPool(3)
	if err != nil {
		t.Fatal(err)
	}
	f := New(file, twice, pool)
	t.Cleanup(func() { f.Wait(); pool.Free(); file.Close(); twice.Close() })
	return f
}

// Writes of any length at any offset, also over each other, have the effect that they have without buffers.
func TestWrites(t *testing.T) {
	f := open(t)
	noise := make([]byte, 3*Size)
	rand.New(rand.NewSource(1)).Read(noise)
	hosttest.Check(t, func(t *rapid.T) {
		if err := f.Truncate(0); err != nil {
			t.Fatal(err)
		}
		want := make([]byte, 4*Size)
		for range rapid.IntRange(1, 12).Draw(t, "writes") {
			off := rapid.OneOf(rapid.IntRange(0, 3*Size), rapid.Map(rapid.IntRange(0, 700), func(n int) int { return n * 4096 })).Draw(t, "offset")
			n := rapid.OneOf(rapid.IntRange(0, 9000), rapid.IntRange(0, len(want)-off)).Draw(t, "length")
			p := noise[rapid.IntRange(0, 5000).Draw(t, "content"):]
			p = p[:min(n, len(p))]
			if k, err := f.WriteAt(p, int64(off)); k != len(p) || err != nil {
				t.Fatal(k, err)
			}
			copy(want[off:], p)
		}
		got := make([]byte, len(want))
		if _, err := f.ReadAt(got, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatal("the file has other bytes than were written")
		}
	})
	if f.refused {
		t.Error("direct writes were refused")
	}
}

// Several goroutines write side by side.
func TestConcurrent(t *testing.T) {
	f := open(t)
	want := make([]byte, 16<<20)
	rand.New(rand.NewSource(2)).Read(want)
	const part = 1<<20 + 1000
	var all sync.WaitGroup
	for off := 0; off < len(want); off += part {
		all.Go(func() {
			if _, err := f.WriteAt(want[off:min(off+part, len(want))], int64(off)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got := make([]byte, len(want))
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file has other bytes than were written, %v", err)
	}
}

// An error of a write that nobody waited for is that of the next one, and of Wait.
func TestError(t *testing.T) {
	f := open(t)
	f.direct.Close()
	if _, err := f.WriteAt(make([]byte, Size), 0); err != nil {
		t.Errorf("an error before the write ended: %v", err)
	}
	if err := f.Wait(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("waited: %v", err)
	}
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("written after that: %v", err)
	}
	if err := f.Truncate(0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("truncated: %v", err)
	}
	if n := len(f.pool.spare); n != cap(f.pool.spare) {
		t.Errorf("%d buffers are left", n)
	}
}

// Where a file system refuses direct writes, the page cache takes them.
func TestRefused(t *testing.T) {
	f := open(t)
	null, err := os.OpenFile("/proc/self/clear_refs", os.O_WRONLY, 0) // pwrite(2) of anything but a number is EINVAL
	if err != nil {
		t.Skip(err)
	}
	defer null.Close()
	f.direct = null
	want := bytes.Repeat([]byte("x"), 2*Size)
	for range 2 {
		if _, err := f.WriteAt(want, 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, len(want))
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) || !f.refused {
		t.Errorf("other bytes, %v, refused %t", err, f.refused)
	}
}
