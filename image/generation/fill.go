package generation

import (
	"context"
	"fmt"
	"io"

	"imprint/image/write"
	"imprint/internal/recipe"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// fill writes a pack, and verifies what it reads on the way.
func (p *pack) fill(ctx context.Context, from *write.Prepared, w io.Writer) error {
	f := &filling{w: w, at: map[tree.Blob]*part{}, buf: make([]byte, 256<<10)}
	for _, t := range p.parts {
		f.at[t.blob] = t
	}
	if p.item != nil {
		return from.Item(ctx, p.item, func(n *tree.Node, h io.Writer) error { return f.copy(ctx, n.Inode().Blob(), h) })
	}
	for _, t := range p.parts {
		if err := from.Content(t.blob, func(h io.Writer) error { return f.copy(ctx, t.blob, h) }); err != nil {
			return err
		}
	}
	return nil
}

// A filling writes a pack.
type filling struct {
	w   io.Writer
	pos int64
	at  map[tree.Blob]*part // not written yet
	buf []byte
}

// copy reads a file for h, and writes its data to the pack if they are to come next.
func (f *filling) copy(ctx context.Context, b tree.Blob, h io.Writer) error {
	t := f.at[b]
	delete(f.at, b)
	if t == nil {
		if h == nil {
			return nil
		}
		return tree.Copy(ctx, h, b, f.buf)
	}
	c := &cutter{filling: f, part: t}
	switch zeros := h.(type) {
	case nil:
		return tree.Copy(ctx, c, b, f.buf)
	case tree.ZeroWriter:
		return tree.Copy(ctx, tree.Tee(zeros, c), b, f.buf)
	}
	return tree.Copy(ctx, io.MultiWriter(h, c), b, f.buf)
}

// A cutter writes the data of a file to a pack: what it is given, without the holes.
type cutter struct {
	*filling
	part *part
	off  int64 // in the file
	next int   // range of the file's data
}

// Write implements io.Writer.
func (c *cutter) Write(p []byte) (int, error) {
	n, end := len(p), c.off+int64(len(p))
	for c.next < len(c.part.data) {
		r := c.part.data[c.next]
		from, to := max(r.Off, c.off), min(r.End(), end)
		if from < to {
			if err := c.put(c.part.starts[c.next]+from-r.Off, p[from-c.off:to-c.off]); err != nil {
				return 0, err
			}
		}
		if r.End() > end {
			break
		}
		c.next++
	}
	c.off = end
	return n, nil
}

// WriteZeros implements tree.ZeroWriter.
func (c *cutter) WriteZeros(n int64) error {
	for n > 0 && c.next < len(c.part.data) {
		if r := c.part.data[c.next]; r.Off >= c.off+n {
			break
		}
		k := min(n, recipe.Block)
		if _, err := c.Write(zeroBlock[:k]); err != nil {
			return err
		}
		n -= k
	}
	c.off += n
	return nil
}

// put writes bytes at an offset of the pack, after zeros up to there.
func (f *filling) put(at int64, p []byte) error {
	if at < f.pos || at > units.Align(f.pos, recipe.Block) {
		return fmt.Errorf("pack files: %d comes after %d", at, f.pos)
	}
	if at > f.pos {
		if _, err := f.w.Write(zeroBlock[:at-f.pos]); err != nil {
			return err
		}
	}
	_, err := f.w.Write(p)
	f.pos = at + int64(len(p))
	return err
}
