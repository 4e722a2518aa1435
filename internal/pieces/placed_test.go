package pieces

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"imprint/internal/hosttest"

	"pgregory.net/rapid"
)

// sequential is a file that only takes what follows.
type sequential struct{ buffer }

func (s *sequential) WriteAt(p []byte, off int64) (int, error) {
	if off != int64(len(s.data)) {
		return 0, fmt.Errorf("%d bytes are there, and the write is at %d", len(s.data), off)
	}
	return s.buffer.WriteAt(p, off)
}

// concatenate is a Packing of pieces one after the other. Each is as long as its content says.
func concatenate() Packing {
	end := int64(0)
	return Packing{
		Pack: func(dst, content []byte) ([]byte, error) {
			return append(dst, bytes.Repeat(content[:1], 1+int(content[0]%5))...), nil
		},
		Place: func(_, size int64) int64 { end += size; return end - size },
	}
}

// Pieces of any lengths follow each other in the file, whatever the order in which they are put and by whom, and so they do in a pipe.
func TestPlaced(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		holes := rapid.SliceOfN(rapid.Bool(), 1, 80).Draw(t, "holes")
		d := Disk{Size: int64(len(holes)), Piece: 1, Hole: func(n int64) bool { return holes[n] }}
		want, order := "", []int64{}
		for n, hole := range holes {
			if hole {
				want += "\x00"
				continue
			}
			want += strings.Repeat(string(rune(n+1)), 1+(n+1)%5)
			order = append(order, int64(n))
		}
		order = rapid.Permutation(order).Draw(t, "order")
		workers := rapid.IntRange(1, 3).Draw(t, "workers")
		plain, pipe := &buffer{}, &sequential{}
		for _, to := range []Sink{{File: plain, Spool: &buffer{}}, {File: pipe, Spool: &buffer{}, InOrder: true}} {
			o := NewOrdered(d, to, concatenate())
			var all sync.WaitGroup
			for k := range workers {
				all.Go(func() {
					for i := k; i < len(order); i += workers {
						if err := o.Put(order[i], []byte{byte(order[i] + 1)}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			if err := o.Close(); err != nil {
				t.Fatal(err)
			}
			if o.end != 0 || o.held != 0 || o.spooled != 0 {
				t.Fatalf("%d bytes are left in the spool, %d pieces in memory", o.end, o.held)
			}
		}
		if string(plain.data) != want || string(pipe.data) != want {
			t.Fatalf("the file is %q and the pipe %q, want %q", plain.data, pipe.data, want)
		}
	})
}

// broken is a file that fails.
type broken struct{ buffer }

var errBroken = errors.New("broken")

func (*broken) WriteAt([]byte, int64) (int, error) { return 0, errBroken }
func (*broken) ReadAt([]byte, int64) (int, error)  { return 0, errBroken }

// The error of a file, or of the spool, is that of a Put or of Close, and of all later calls.
func TestPlacedReports(t *testing.T) {
	d := Disk{Size: 20, Piece: 1, Hole: func(n int64) bool { return n == 19 }}
	for name, to := range map[string]Sink{
		"file": {File: &broken{}, Spool: &buffer{}}, "spool": {File: &buffer{}, Spool: &broken{}}, "pipe": {File: &broken{}, Spool: &buffer{}, InOrder: true},
	} {
		o := NewOrdered(d, to, concatenate())
		var first error
		for n := int64(18); n >= 0; n-- {
			if err := o.Put(n, []byte{1}); err != nil && first == nil {
				first = err
			}
		}
		if err := o.Close(); !errors.Is(first, errBroken) || !errors.Is(err, errBroken) {
			t.Errorf("%s: %v, and in the end %v", name, first, err)
		}
	}
	packing := concatenate()
	packing.Pack = func([]byte, []byte) ([]byte, error) { return nil, io.ErrShortWrite }
	if err := NewOrdered(Disk{Size: 1, Piece: 1, Hole: func(int64) bool { return true }}, Sink{File: &buffer{}}, packing).Close(); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("zeros that cannot be packed: %v", err)
	}
}
