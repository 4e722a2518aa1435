package resolve

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"imprint/internal/hosttree"
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

// A hole is not read, whoever looks at the text of a file besides: one of 1 TiB would take minutes.
func TestHolesAreNotRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "sparse")
	if err := os.WriteFile(name, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 1<<40); err != nil {
		t.Fatal(err)
	}
	b, err := hosttree.File(name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var text smallText
	if b, err = pin(ctx, b, &text); err != nil {
		t.Fatal(err)
	}
	if got, want := tree.DataOf(b), []tree.Range{{Off: 0, Len: tree.HoleSize}}; !slices.Equal(got, want) || text.Len() > 0 {
		t.Errorf("data %v and a text of %d bytes; want %v and none", got, text.Len(), want)
	}
}

// Zeros count in the text of a small file as they do where there are no holes.
func TestSmallTextWithZeros(t *testing.T) {
	var text smallText
	text.Write([]byte("a"))
	text.WriteZeros(2)
	text.Write([]byte("b"))
	if got := text.String(); got != "a\x00\x00b" {
		t.Errorf("text %q", got)
	}
	if text.WriteZeros(1 << 40); text.Len() > 0 {
		t.Errorf("a text of %d bytes is kept", text.Len())
	}
}
