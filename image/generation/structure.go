package generation

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/extent"
	"imprint/internal/hosttree"
	"imprint/internal/objects"
	"imprint/internal/recipe"
	"imprint/internal/restore"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// structure is what a disk has besides the contents of files: tables of partitions, structure of file systems, what host tools have made,
// and small files that are only in memory.
type structure struct{ extents extent.List }

// Chunks of structure are at most mostChunk bytes, and lie in one window of the disk, so that a change does not move the borders of all.
const (
	mostChunk = 1 << 20
	window    = 16 << 20
)

// add adds an extent, cut at the borders of chunks.
func (s *structure) add(e extent.Extent) {
	for from := e.Off; from < e.End(); {
		to := min(from-from%mostChunk+mostChunk, e.End())
		s.extents = append(s.extents, e.Cut(from, to))
		from = to
	}
}

// addFilled adds what host tools have filled.
func (s *structure) addFilled(p *write.Prepared) error {
	if p.Filled == nil {
		return nil
	}
	b, err := hosttree.File(p.Filled.Name())
	if err != nil {
		return err
	}
	for _, r := range p.Layout.Regions {
		if !filled(r) {
			continue
		}
		data, err := restore.Data(p.Filled, r.Offset, r.Offset+r.Size)
		if err != nil {
			return err
		}
		for _, d := range data {
			s.add(extent.Extent{Off: d.Off, Len: d.Len, Blob: b, At: d.Off})
		}
	}
	slices.SortFunc(s.extents, func(a, b extent.Extent) int { return cmp.Compare(a.Off, b.Off) })
	return nil
}

// filled reports whether a host tool has filled a range of the disk.
func filled(r *plan.Region) bool { return r.In == nil && r.MadeByHost() }

// chunks divides the structure. Every chunk becomes one content.
func (s *structure) chunks() (list []extent.List) {
	size := int64(0)
	for i, e := range s.extents {
		last := len(list) - 1
		if i == 0 || size+e.Len > mostChunk || list[last][0].Off/window != e.Off/window {
			list, size, last = append(list, nil), 0, last+1
		}
		list[last] = append(list[last], e)
		size += units.Align(e.Len, recipe.Block)
	}
	return list
}

// A chunk is a content of structure, with its runs.
type chunk struct {
	content recipe.Content
	runs    []recipe.Run // without the index of the content
	fresh   bool         // it was added, or compared with its digest
}

// A desk has the buffers in which chunks are made.
type desk struct {
	read [mostChunk]byte
	text []byte
}

var desks = sync.Pool{New: func() any { return &desk{text: make([]byte, 0, mostChunk)} }}

// makeChunk reads extents, and adds their bytes to the contents, without blocks of zeros, unless they are among those that are known.
func makeChunk(ctx context.Context, list extent.List, contents *objects.Store, known map[objects.Digest]bool) (c chunk, err error) {
	d := desks.Get().(*desk)
	defer desks.Put(d)
	d.text = d.text[:0]
	for _, e := range list {
		p := d.read[:e.Len]
		if err := extent.ReadAt(extent.List{e}, p, e.Off); err != nil {
			return c, err
		}
		for off := int64(0); off < e.Len; {
			n := min(recipe.Block, e.Len-off)
			if !isZero(p[off : off+n]) {
				c.runs = append(c.runs, recipe.Run{Off: e.Off + off, Len: n, At: d.add(p[off : off+n])})
			}
			off += n
		}
	}
	if len(d.text) == 0 {
		return c, nil
	}
	pin := tree.NewPinner()
	pin.Write(d.text)
	c.content = recipe.Content{Digest: pin.Pin(), Size: int64(len(d.text))}
	if !known[c.content.Digest] || !contents.Has(c.content.Digest) {
		c.fresh = true
		_, err = contents.PutText(ctx, d.text)
	}
	return c, err
}

// add appends a block to the text, after zeros that complete the one before, and returns its offset.
func (d *desk) add(block []byte) int64 {
	if rest := len(d.text) % recipe.Block; rest > 0 {
		d.text = append(d.text, zeroBlock[rest:]...)
	}
	d.text = append(d.text, block...)
	return int64(len(d.text) - len(block))
}
