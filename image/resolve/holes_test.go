package resolve

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"imprint/internal/tree"
)

// Holes follow from the content: long zeros that lie on the unit, whatever the host makes of them.
func TestHoles(t *testing.T) {
	zeros, data := bytes.Repeat([]byte{0}, tree.HoleSize), bytes.Repeat([]byte{1}, tree.HoleSize)
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	for name, c := range map[string]struct {
		content []byte
		want    []tree.Range
	}{
		"none":        {join(data, data), []tree.Range{{Off: 0, Len: 2 * tree.HoleSize}}},
		"short zeros": {join(data, zeros[:tree.HoleSize-1], data[:1]), []tree.Range{{Off: 0, Len: 2 * tree.HoleSize}}},
		"middle":      {join(data, zeros, data), []tree.Range{{Off: 0, Len: tree.HoleSize}, {Off: 2 * tree.HoleSize, Len: tree.HoleSize}}},
		"front":       {join(zeros, zeros, data[:5]), []tree.Range{{Off: 2 * tree.HoleSize, Len: 5}}},
		"all":         {join(zeros, zeros), nil},
		"off the unit": {
			join(data[:1], zeros, zeros, data[:1]), []tree.Range{{Off: 0, Len: tree.HoleSize}, {Off: 2 * tree.HoleSize, Len: 2}},
		},
	} {
		b, err := pin(context.Background(), tree.Text(string(c.content)))
		if err != nil {
			t.Fatal(err)
		}
		if got := tree.DataOf(b); !slices.Equal(got, c.want) {
			t.Errorf("%s: data %v; want %v", name, got, c.want)
		}
	}
}
