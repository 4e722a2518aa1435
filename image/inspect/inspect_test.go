package inspect

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"imprint/internal/tree"
	"imprint/partition"

	"github.com/google/go-cmp/cmp"
)

// Closures are counted once, and cycles end.
func TestClosureSizes(t *testing.T) {
	g := sample(t, [][]int{{1, 2}, {3}, {3}, nil, {5}, {4, 5}})
	g.computeClosures(t.Context())
	want := []int64{4006, 2004, 2005, 1003, 2009, 2009}
	if d := cmp.Diff(want, g.closed); d != "" {
		t.Error(d)
	}
	if items, _ := g.closure(0); items != 4 {
		t.Errorf("%d items", items)
	}
}

// Texts of an image cannot add lines.
func TestTextIsOneLineEach(t *testing.T) {
	r := hostileReport(t)
	r.Regions[1].Shown, r.Regions[1].Volume.Label, r.Regions[1].Boot[0].Cmdline = "a\nb", "c\td", "x\n\x1b[2J"
	var b bytes.Buffer
	if err := r.Text(&b, "n\nm"); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"\x1b", "a\nb", "c\td", "n\nm", "x\n"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("the text has %q", bad)
		}
	}
}

// A placed is a content in several pieces.
type placed struct {
	tree.Blob
	pieces int
}

func (p placed) Parts() []tree.Range { return make([]tree.Range, p.pieces) }

func TestDeep(t *testing.T) {
	attr, other := &tree.Attr{Mode: 0o644}, &tree.Attr{Mode: 0o755}
	b := tree.NewBuilder(&tree.Attr{Mode: 0o755})
	add := func(path, text string, pieces int, a *tree.Attr) *tree.Node {
		n := tree.NewFile(path[1:], a, placed{tree.Text(text), pieces})
		if err := b.Add(path, n, ""); err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := add("/a", strings.Repeat("x", 5000), 1, attr)
	add("/b", strings.Repeat("x", 5000), 3, attr)
	add("/c", strings.Repeat("x", 5000), 2, attr)
	add("/d", strings.Repeat("x", 5000), 1, other) // of another mode
	add("/e", strings.Repeat("y", 5000), 1, attr)  // of another content
	add("/f", "", 0, attr)
	if err := b.Add("/g", tree.NewLink("g", first), ""); err != nil {
		t.Fatal(err)
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	v := &partition.Volume{Filesystem: &partition.Filesystem{Owners: true}, Tree: tr, Stats: partition.Stats{BlockSize: 4096}}
	got, err := deep(context.Background(), v)
	want := &Deep{Files: 5, Pieces: 8, Whole: 3, Fragmented: []Fragments{{"/b", 3}, {"/c", 2}}, Duplicates: 2, Saved: 16384}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
}
