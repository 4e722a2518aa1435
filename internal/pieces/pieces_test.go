package pieces

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"imprint/internal/hosttest"

	"pgregory.net/rapid"
)

// buffer is a file in memory.
type buffer struct {
	mu   sync.Mutex
	data []byte
}

func (b *buffer) WriteAt(p []byte, off int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data = append(b.data, make([]byte, max(0, int(off)+len(p)-len(b.data)))...)
	return copy(b.data[off:], p), nil
}

func (b *buffer) ReadAt(p []byte, off int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.NewReader(b.data).ReadAt(p, off)
}

func (b *buffer) Truncate(size int64) error {
	b.data = append(b.data, make([]byte, max(0, int(size)-len(b.data)))...)[:size]
	return nil
}

// Pieces are emitted in their order, whatever the order in which they are put; the spool is used again.
func TestOrdered(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		holes := rapid.SliceOfN(rapid.Bool(), 1, 60).Draw(t, "holes")
		d := Disk{Size: int64(len(holes))*4 - 1, Piece: 4, Hole: func(n int64) bool { return holes[n] }}
		skip := rapid.Bool().Draw(t, "skip")
		var got, want []string
		closed := false
		o := NewOrdered(d, Sink{Spool: &buffer{}}, Packing{
			Pack:      func(dst, content []byte) ([]byte, error) { return fmt.Appendf(dst, "<%s>", content), nil },
			Emit:      func(n int64, packed []byte) error { got = append(got, fmt.Sprintf("%d%q", n, packed)); return nil },
			SkipHoles: skip,
			Close:     func() error { closed = true; return nil },
		})
		var order []int64
		for n := range d.Count() {
			content := strings.Repeat(string(rune('a'+n)), int(d.Len(n)))
			switch {
			case !holes[n]:
				order = append(order, n)
				want = append(want, fmt.Sprintf("%d%q", n, "<"+content+">"))
			case skip:
				want = append(want, fmt.Sprintf(`%d""`, n))
			default:
				want = append(want, fmt.Sprintf("%d%q", n, "<"+strings.Repeat("\x00", int(d.Len(n)))+">"))
			}
		}
		for _, n := range rapid.Permutation(order).Draw(t, "order") {
			if err := o.Put(n, []byte(strings.Repeat(string(rune('a'+n)), int(d.Len(n))))); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.Close(); err != nil || !closed {
			t.Fatal(err, closed)
		}
		if !slices.Equal(got, want) || o.end != 0 || o.held != 0 || o.spooled != 0 {
			t.Fatalf("got %q, want %q; %d bytes are left in the spool, %d pieces in memory", got, want, o.end, o.held)
		}
	})
}

// Several goroutines put pieces while others are emitted, one at a time and in their order; few wait in memory.
func TestOrderedInParallel(t *testing.T) {
	const workers, each = 4, 100
	d := Disk{Size: workers * each, Piece: 1, Hole: func(n int64) bool { return n%7 == 3 }}
	var got []int64
	most := 0
	var o *Ordered
	o = NewOrdered(d, Sink{Spool: &buffer{}}, Packing{
		Pack: func(dst, content []byte) ([]byte, error) { return append(dst, content...), nil },
		Emit: func(n int64, packed []byte) error {
			if want := byte(n); n%7 != 3 && packed[0] != want {
				return fmt.Errorf("piece %d has the content of another", n)
			}
			got = append(got, n)
			o.mu.Lock()
			defer o.mu.Unlock()
			most = max(most, o.held)
			return nil
		},
	})
	var all sync.WaitGroup
	for k := range workers {
		all.Go(func() {
			for i := range each {
				n := int64(k*each + i)
				if d.Hole(n) {
					continue
				}
				if err := o.Put(n, []byte{byte(n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if len(got) != workers*each || !slices.IsSorted(got) {
		t.Errorf("emitted were %v", got)
	}
	if most > mostHeld+workers {
		t.Errorf("%d pieces waited in memory", most)
	}
}

// What is missing is reported, and so is the first error, to every later call.
func TestOrderedReports(t *testing.T) {
	d := Disk{Size: 3, Piece: 1, Hole: func(int64) bool { return false }}
	failing := errors.New("no space")
	emit := func(n int64, _ []byte) error {
		if n == 1 {
			return failing
		}
		return nil
	}
	pack := func(dst, content []byte) ([]byte, error) { return append(dst, content...), nil }
	o := NewOrdered(d, Sink{Spool: &buffer{}}, Packing{Pack: pack, Emit: emit})
	if err := o.Put(0, []byte("a")); err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err == nil || err.Error() != "piece 1 of 3 was not written" {
		t.Errorf("a missing piece: %v", err)
	}
	o.Put(2, []byte("c"))
	if err := o.Put(1, []byte("b")); !errors.Is(err, failing) {
		t.Errorf("the error of emit: %v", err)
	}
	if err := o.Close(); !errors.Is(err, failing) {
		t.Errorf("after it: %v", err)
	}
}

// Units of zeros are not written, and every other one is found where it was put.
func TestSlots(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		const piece, unit = 16, 4
		content := rapid.SliceOfN(rapid.ByteRange(0, 1), 1, 100).Draw(t, "content")
		d := Disk{Size: int64(len(content)), Piece: piece}
		d.Hole = func(n int64) bool { return IsZero(content[n*piece : n*piece+d.Len(n)]) }
		lead := rapid.SliceOfN(rapid.Just(byte(9)), 0, 3).Draw(t, "lead")
		f := &buffer{}
		s := NewSlots(d, f, 7, unit, lead)
		for _, n := range rapid.Permutation([]int64{0, 1, 2, 3, 4, 5, 6}).Draw(t, "order") {
			if n < d.Count() && !d.Hole(n) {
				if err := s.Put(n, content[n*piece:n*piece+d.Len(n)]); err != nil {
					t.Fatal(err)
				}
			}
		}
		f.Truncate(s.End())
		for u := int64(0); u*unit < d.Size; u++ {
			want := content[u*unit : min(d.Size, (u+1)*unit)]
			off, ok := s.At(u)
			if ok == IsZero(want) {
				t.Fatalf("unit %d of %v: %v", u, want, ok)
			}
			if !ok {
				continue // and may lie after the end of the file
			}
			if got := f.data[off:]; !bytes.HasPrefix(got, append(slices.Clone(lead), want...)) {
				t.Fatalf("unit %d is %v, want %v after %v", u, got, want, lead)
			}
		}
	})
}

// lying is a map that says what the test wants.
type lying struct {
	span Span
	err  error
}

func (l lying) Span(int64) (Span, error)                { return l.span, l.err }
func (l lying) Unpack(_ Span, dst, stored []byte) error { copy(dst, stored); return nil }

// A map that makes no sense is an error of the read, and large claims cost no memory.
func TestWrongMaps(t *testing.T) {
	for _, s := range []Span{
		{Off: 1, Len: 5}, {Len: 0}, {Off: -8, Len: 8}, {Len: 10, Kind: Plain, At: -1}, {Len: MaxSpan + 1, Kind: Packed, Stored: 1},
		{Len: 8, Kind: Packed, Stored: 3 * MaxSpan}, {Len: 8, Kind: Packed, Stored: -1}, {Len: 8, Kind: Packed, Stored: MaxSpan}, {Len: 8, Kind: Plain, At: 1 << 62},
	} {
		image, err := NewImage(strings.NewReader("short"), 100, lying{span: s})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := image.ReadAt(make([]byte, 4), 0); err == nil {
			t.Errorf("%+v: %d bytes without an error", s, n)
		}
	}
	if _, err := NewImage(nil, MaxSize+1, nil); err == nil {
		t.Error("a disk that is too large was opened")
	}
}

// The cache holds what was read last, within its bound.
func TestCache(t *testing.T) {
	const size = 100 * (1 << 20)
	file := &buffer{}
	for i := range 100 {
		file.data = append(file.data, byte(i))
	}
	image, err := NewImage(file, size, steps{})
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10)
	for off := int64(0); off < size; off += 1 << 20 {
		if _, err := image.ReadAt(p, off+5); err != nil || p[0] != byte(off>>20) {
			t.Fatalf("at %d: %v, %v", off, p, err)
		}
	}
	stored := file.data
	file.data = nil
	if _, err := image.ReadAt(p, size-1<<20); err != nil {
		t.Errorf("the last span is not kept: %v", err)
	}
	if _, err := image.ReadAt(p, size-1<<20-maxCache); err == nil {
		t.Error("more is kept than the bound allows")
	}
	file.data = stored
	if n, err := image.ReadAt(p, size-4); n != 4 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

// steps are packed spans of 1 MiB, whose bytes are their number.
type steps struct{}

func (steps) Span(off int64) (Span, error) {
	return Span{Off: off >> 20 << 20, Len: 1 << 20, Kind: Packed, At: off >> 20, Stored: 1}, nil
}
func (steps) Unpack(_ Span, dst, stored []byte) error {
	copy(dst, bytes.Repeat(stored, len(dst)))
	return nil
}
