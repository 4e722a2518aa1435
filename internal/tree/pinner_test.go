package tree

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"slices"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/sha256pair"

	"pgregory.net/rapid"
)

// drawnPieces is a content of zeros and other bytes, in runs around the unit of holes.
var drawnPieces = rapid.Map(rapid.SliceOfN(rapid.IntRange(-3*HoleSize, 3*HoleSize), 0, 6), func(runs []int) (content []byte) {
	for _, n := range runs {
		if n < 0 {
			content = append(content, make([]byte, -n)...)
		} else {
			content = append(content, bytes.Repeat([]byte{7}, n)...)
		}
	}
	return content
})

// dataIn returns the units of a content that are not holes, which it finds one by one.
func dataIn(content []byte) (data []Range, holes bool) {
	for at := 0; at < len(content); at += HoleSize {
		unit := content[at:min(at+HoleSize, len(content))]
		if len(unit) == HoleSize && bytes.Equal(unit, make([]byte, HoleSize)) {
			holes = true
			continue
		}
		if k := len(data) - 1; k >= 0 && data[k].End() == int64(at) {
			data[k].Len += int64(len(unit))
		} else {
			data = append(data, Range{int64(at), int64(len(unit))})
		}
	}
	return data, holes
}

// Pin and holes follow from the content, in whatever parts it is written, and whether zeros are written or counted.
func TestPinner(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		content := drawnPieces.Draw(t, "content")
		want, holes := dataIn(content)
		var pins []Pin
		for range 2 {
			p := NewPinner()
			for rest := content; len(rest) > 0; {
				n := min(len(rest), rapid.OneOf(rapid.IntRange(1, 2*HoleSize), rapid.Just(HoleSize), rapid.Just(HoleSize/4)).Draw(t, "part"))
				switch blocks := n / sha256pair.BlockSize; {
				case isZero(rest[:n]) && rapid.Bool().Draw(t, "counted"):
					p.WriteZeros(int64(n))
				case blocks > 0 && rapid.Bool().Draw(t, "blocks"):
					n = blocks * sha256pair.BlockSize
					sums := make([][sha256.Size]byte, blocks)
					p.WriteBlocks(rest[:n], sums)
					for i, sum := range sums {
						if sum != sha256.Sum256(rest[i*sha256pair.BlockSize:][:sha256pair.BlockSize]) {
							t.Fatalf("block %d has another sum", i)
						}
					}
				default:
					p.Write(rest[:n])
				}
				rest = rest[n:]
			}
			b := p.Blob(Text(string(content)))
			sum, _ := PinOf(b)
			pins = append(pins, sum)
			if got := DataOf(b); !slices.Equal(got, want) {
				t.Fatalf("data %v; want %v", got, want)
			}
		}
		if pins[0] != pins[1] {
			t.Fatal("the pin depends on how the content is written")
		}
		if plain := sha256.Sum256(content); (pins[0] == plain) == holes {
			t.Fatalf("holes: %v; the pin is the SHA-256: %v", holes, pins[0] == plain)
		}
	})
}

// Contents that differ in where their zeros are have different pins.
func TestPinsDiffer(t *testing.T) {
	unit, data := make([]byte, HoleSize), bytes.Repeat([]byte{1}, HoleSize)
	seen := map[Pin]int{}
	for i, content := range [][]byte{
		nil, unit, slices.Concat(unit, unit), data, slices.Concat(data, unit), slices.Concat(unit, data), slices.Concat(unit, data, unit), slices.Concat(data, unit, unit),
		slices.Concat(data, unit, []byte{0}), slices.Concat(data, []byte{0}),
	} {
		p := NewPinner()
		p.Write(content)
		sum := p.Pin()
		if k, twice := seen[sum]; twice {
			t.Errorf("contents %d and %d have one pin", i, k)
		}
		seen[sum] = i
	}
}

// A hole of 8 EiB takes no time.
func TestPinnerCountsZeros(t *testing.T) {
	p := NewPinner()
	p.Write([]byte("x"))
	p.WriteZeros(1<<63 - 2)
	if b := p.Blob(Text("")); len(DataOf(b)) != 2 || DataOf(b)[0] != (Range{0, HoleSize}) {
		t.Errorf("data %v", DataOf(b))
	}
}

// holed is a blob that says where its data is, and fails the test when a hole is read beside its first part.
type holed struct {
	size int64
	t    *testing.T
}

func (h holed) Size() int64           { return h.size }
func (h holed) Open() (Reader, error) { return h, nil }
func (h holed) Close() error          { return nil }
func (h holed) ReadAt(p []byte, off int64) (int, error) {
	if off > 4<<20 && off < h.size-4<<20 {
		h.t.Fatalf("read at %d", off)
	}
	n := int(min(int64(len(p)), h.size-off))
	clear(p[:n])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
func (h holed) NextData(off int64) int64 { return max(off, h.size-1) }

func TestCopySkipsHoles(t *testing.T) {
	const size = 15 << 40
	p := NewPinner()
	err := Copy(context.Background(), p, holed{size, t}, nil)
	if err != nil || p.at != size {
		t.Errorf("%d bytes, %v", p.at, err)
	}
}

// Holes are whole units of zeros in the content, however the host stores it.
func TestPinContent(t *testing.T) {
	zeros, data := bytes.Repeat([]byte{0}, HoleSize), bytes.Repeat([]byte{1}, HoleSize)
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	for name, c := range map[string]struct {
		content []byte
		want    []Range
	}{
		"none":        {join(data, data), []Range{{Off: 0, Len: 2 * HoleSize}}},
		"short zeros": {join(data, zeros[:HoleSize-1], data[:1]), []Range{{Off: 0, Len: 2 * HoleSize}}},
		"middle":      {join(data, zeros, data), []Range{{Off: 0, Len: HoleSize}, {Off: 2 * HoleSize, Len: HoleSize}}},
		"front":       {join(zeros, zeros, data[:5]), []Range{{Off: 2 * HoleSize, Len: 5}}},
		"all":         {join(zeros, zeros), nil},
		"off the unit": {
			join(data[:1], zeros, zeros, data[:1]), []Range{{Off: 0, Len: HoleSize}, {Off: 2 * HoleSize, Len: 2}},
		},
	} {
		b, err := PinContent(t.Context(), Text(string(c.content)))
		if err != nil {
			t.Fatal(err)
		}
		if got := DataOf(b); !slices.Equal(got, c.want) {
			t.Errorf("%s: data %v; want %v", name, got, c.want)
		}
	}
}
