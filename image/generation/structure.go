package generation

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"sync"

	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/extent"
	"imprint/internal/hosttree"
	"imprint/internal/recipe"
	"imprint/internal/restore"
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
	slices.SortFunc(s.extents, byOffset)
	return nil
}

func byOffset(a, b extent.Extent) int { return cmp.Compare(a.Off, b.Off) }

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

// A desk has the buffers in which a chunk is made: its extents, one after the other, at multiples of a block.
type desk struct {
	read     [mostChunk]byte
	squeezed [2 * (8 + recipe.Block)]byte
}

var desks = sync.Pool{New: func() any { return new(desk) }}

// chunk reads extents, and adds their bytes to the contents, without blocks of zeros, unless an earlier disk has them.
func (k *keeper) chunk(ctx context.Context, list extent.List) (c chunk, err error) {
	d := desks.Get().(*desk)
	defer desks.Put(d)
	text, err := d.text(list, &c)
	if err != nil || len(text) == 0 {
		return c, err
	}
	key := d.key(text)
	if known, has := k.there(key); has && known.Size == int64(len(text)) {
		c.content = known
		return c, nil
	}
	c.content, c.fresh = recipe.Content{Size: int64(len(text)), Key: key, Meta: true}, true
	c.content.Digest, err = k.contents.PutText(ctx, text)
	return c, err
}

// text returns the bytes of extents without blocks of zeros, and adds their runs to the chunk. The last block of an extent is completed with zeros
// if another one follows.
func (d *desk) text(list extent.List, c *chunk) ([]byte, error) {
	size := int64(0)
	for _, e := range list {
		from := units.Align(size, recipe.Block)
		p := d.read[from : from+e.Len]
		if err := extent.ReadAt(extent.List{e}, p, e.Off); err != nil {
			return nil, err
		}
		for off := int64(0); off < e.Len; off += recipe.Block {
			block := p[off:min(off+recipe.Block, e.Len)]
			if isZero(block) {
				continue
			}
			at := units.Align(size, recipe.Block)
			clear(d.read[size:at])
			if at < from+off {
				copy(d.read[at:], block)
			}
			c.runs = append(c.runs, recipe.Run{Off: e.Off + off, Len: int64(len(block)), At: at})
			size = at + int64(len(block))
		}
	}
	return d.read[:size], nil
}

// key returns a digest of a text that is computed without most of the zeros in it, which blocks of file systems are full of: of the size, of which
// lines of 64 bytes have others, and of these lines.
func (d *desk) key(text []byte) string {
	h := sha256.New()
	b := fmt.Appendf(d.squeezed[:0], "structure %d\n", len(text))
	for len(text) > 0 {
		part := text[:min(64*line, len(text))]
		text = text[len(part):]
		mask := linesOf(part)
		b = binary.LittleEndian.AppendUint64(b, mask)
		for ; mask != 0; mask &= mask - 1 {
			at := bits.TrailingZeros64(mask) * line
			b = append(b, part[at:min(at+line, len(part))]...)
		}
		if len(b) > len(d.squeezed)/2 { // another part may not fit
			h.Write(b)
			b = b[:0]
		}
	}
	h.Write(b)
	return fmt.Sprintf("%x", h.Sum(nil))
}

// line is the number of bytes of a line.
const line = 64

// linesOf returns a bit for each of at most 64 lines, which is set if the line is not all zeros, or shorter than the others.
func linesOf(p []byte) (mask uint64) {
	for i := 0; len(p) > 0; i++ {
		if len(p) < line {
			return mask | 1<<i
		}
		if i%8 == 0 && len(p) >= 8*line && isZero(p[:8*line]) { // several at once are faster
			p, i = p[8*line:], i+7
			continue
		}
		l, or := (*[line]byte)(p), uint64(0)
		for k := 0; k < line; k += 8 {
			or |= binary.LittleEndian.Uint64(l[k : k+8])
		}
		if or != 0 {
			mask |= 1 << i
		}
		p = p[line:]
	}
	return mask
}
