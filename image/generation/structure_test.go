package generation

import (
	"bytes"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/recipe"
	"imprint/internal/tree"
	"imprint/internal/units"

	"pgregory.net/rapid"
)

// drawStructure draws extents as file systems have them: blocks with few bytes that are not zeros, of which the last may be short.
func drawStructure(t *rapid.T) (list extent.List) {
	off := int64(0)
	for range rapid.IntRange(1, 4).Draw(t, "extents") {
		p := make([]byte, rapid.IntRange(1, 5*recipe.Block).Draw(t, "bytes"))
		for range rapid.IntRange(0, 5).Draw(t, "others") {
			p[rapid.IntRange(0, len(p)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		list = append(list, extent.Extent{Off: off, Len: int64(len(p)), Blob: tree.Text(string(p))})
		off += units.Align(int64(len(p)), recipe.Block)
	}
	return list
}

// The runs of a chunk are all blocks that are not zeros. Its text has nothing else but zeros between them, whatever the buffers had before, and
// its key is the same exactly for the same text.
func TestChunk(t *testing.T) {
	d, keys := &desk{}, map[string]string{}
	hosttest.Check(t, func(t *rapid.T) {
		list := drawStructure(t)
		c := chunk{}
		text, err := d.text(list, &c)
		if err != nil {
			t.Fatal(err)
		}
		last := list[len(list)-1]
		want, got := make([]byte, last.End()), make([]byte, last.End())
		if err := extent.ReadAt(list, want, 0); err != nil {
			t.Fatal(err)
		}
		between := bytes.Clone(text)
		for _, r := range c.runs {
			copy(got[r.Off:r.End()], text[r.At:])
			clear(between[r.At : r.At+r.Len])
		}
		if !bytes.Equal(got, want) || !bytes.Equal(between, make([]byte, len(between))) {
			t.Fatalf("%v: the text is wrong", c.runs)
		}
		key := d.key(text)
		if old, has := keys[key]; has && old != string(text) {
			t.Fatalf("%x and %x have the same key", old, text)
		}
		keys[key] = string(text)
		if len(text) == 0 {
			return
		}
		text[rapid.IntRange(0, len(text)-1).Draw(t, "changed")]++
		if d.key(text) == key || d.key(append(text, 0)) == d.key(text) {
			t.Fatalf("%x has the key of another text", text)
		}
	})
}
