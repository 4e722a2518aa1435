package partitiontest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"imprint/internal/tree"
)

// Bytes before and after the region in the disk file: it begins at a sector, but at no larger unit.
const (
	before = 131*512 + 1<<20
	after  = 1 << 20
)

// roundTrip makes the tree in a region that held something else, reads it back and compares the two.
func (e Engine) roundTrip(t testing.TB, tr *tree.Tree, o Options) Snapshot {
	t.Helper()
	r := e.make(t, tr, o, before)
	e.Check(t, r)
	got, want := e.Read(t, r), expected(tr, e)
	if want.Free = got.Free; !slices.Contains(e.Drops, Labels) {
		want.Label = o.Label
	}
	diff(t, got, want)
	return got
}

// make makes the tree and checks that the bytes around the region did not change.
func (e Engine) make(t testing.TB, tr *tree.Tree, o Options, offset int64) Region {
	t.Helper()
	p, err := e.Plan(tr, o)
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	r := Region{filepath.Join(t.TempDir(), "disk"), offset, p.Size()}
	if r.Size%e.Grain != 0 || o.Size != 0 && r.Size > o.Size { // it may be less, if the last grains are of no use
		t.Fatalf("size %d for %d in grains of %d", r.Size, o.Size, e.Grain)
	}
	r.prepare(t)
	if err := p.Make(t.Context(), r.File, offset); err != nil {
		t.Fatalf("make: %v", err)
	}
	r.checkAround(t)
	return r
}

// prepare makes the disk file: noise everywhere, and then zeros in the region.
func (r Region) prepare(t testing.TB) {
	t.Helper()
	f, err := os.Create(r.File)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	edge := min(r.Size, 1<<20)
	for _, at := range []int64{0, r.Offset, r.Offset + r.Size - edge, r.Offset + r.Size} {
		if _, err := f.WriteAt(noise(at), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(r.Offset + r.Size + after); err != nil {
		t.Fatal(err)
	}
	if err := zero(f, r.Offset, r.Size); err != nil {
		t.Fatal(err)
	}
}

// noise returns the bytes at an offset of the disk file before the region is made.
func noise(at int64) []byte {
	p := make([]byte, max(before, after))
	rand.NewChaCha8([32]byte{byte(at), byte(at >> 8), byte(at >> 16), byte(at >> 24)}).Read(p)
	return p
}

func (r Region) checkAround(t testing.TB) {
	t.Helper()
	f, err := os.Open(r.File)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != r.Offset+r.Size+after {
		t.Fatalf("the file has %d bytes, had %d: %v", info.Size(), r.Offset+r.Size+after, err)
	}
	for at, n := range map[int64]int64{0: r.Offset, r.Offset + r.Size: after} {
		got := make([]byte, n)
		if _, err := f.ReadAt(got, at); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, noise(at)[:n]) {
			t.Fatalf("bytes outside the region of %d bytes at %d were changed, in the %d from %d on", r.Size, r.Offset, n, at)
		}
	}
}

// zero makes a part of a file read as zeros, as a hole if the host's file system can make one.
func zero(f *os.File, offset, size int64) error {
	if unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, size) == nil {
		return nil
	}
	zeros := make([]byte, 1<<20)
	for end := offset + size; offset < end; offset += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), end-offset)], offset); err != nil {
			return fmt.Errorf("zero %d bytes at %d: %v", end-offset, offset, err)
		}
	}
	return nil
}

// expectRefusal checks that planning a tree fails, with the path of the node that cannot be held.
func (e Engine) expectRefusal(t testing.TB, tr *tree.Tree, path string) {
	t.Helper()
	_, err := e.Plan(tr, defaults)
	if err == nil {
		t.Fatalf("%q was not refused", path)
	}
	if quoted := strconv.Quote(path); !strings.Contains(err.Error(), path) && !strings.Contains(err.Error(), quoted[1:len(quoted)-1]) {
		t.Errorf("the error does not have the path %q: %v", path, err)
	}
}
