package tree

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestConcat(t *testing.T) {
	whole := []byte("onetwothree")
	b := Concat(Text("one"), Text(""), Text("two"), Concat(Text("thr"), Text("ee")))
	if b.Size() != int64(len(whole)) {
		t.Fatalf("%d bytes", b.Size())
	}
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for off := range len(whole) + 2 {
		for n := range len(whole) + 2 {
			p := make([]byte, n)
			k, err := r.ReadAt(p, int64(off))
			want := whole[min(off, len(whole)):min(off+n, len(whole))]
			if !bytes.Equal(p[:k], want) || (k < n) != (err == io.EOF) {
				t.Fatalf("%d bytes at %d: %q, %v", n, off, p[:k], err)
			}
		}
	}
}

// shrunk is a blob whose content is shorter than its Size.
type shrunk struct{ Blob }

func (shrunk) Size() int64 { return 100 }

func TestConcatFindsAShortPart(t *testing.T) {
	r, err := Concat(shrunk{Text("x")}, Text(strings.Repeat("y", 10))).Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAt(make([]byte, 110), 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
}

// Pieces lead to the blobs that are read, whatever wraps them.
func TestPieces(t *testing.T) {
	one, two := Text("one"), Text("second")
	inner := Concat(Pinned(one, Pin{}), Text(""), Slice(two, 1, 4))
	outer := Concat(Text("head"), Slice(Sparse(inner, nil), 1, 5), two)
	want := []Piece{{Text("head"), Range{0, 4}}, {one, Range{1, 2}}, {two, Range{1, 3}}, {two, Range{0, 6}}}
	if got := Pieces(Pinned(outer, Pin{})); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
