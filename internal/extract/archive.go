package extract

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"imprint/internal/extent"
	"imprint/internal/pax"
	"imprint/internal/tree"
)

// Archive writes nodes and everything below them as a tar archive in the pax format, in the order of their names: with owners, modes, times,
// hard links, devices, extended attributes, access control lists and holes. Names begin with those of the nodes, or with "./" if the only one
// is the root of a tree. Sockets are omitted, since an archive cannot hold them. Two nodes of one name are an error.
func Archive(ctx context.Context, w io.Writer, tops []tree.Walked) ([]Omission, error) {
	c := &collector{builder: tree.NewBuilder(&tree.Attr{Mode: 0o755}), first: map[*tree.Node]*tree.Node{}}
	for _, top := range tops {
		if err := c.all(ctx, top); err != nil {
			return c.omitted, err
		}
	}
	made, err := c.builder.Tree()
	if err != nil {
		return c.omitted, err
	}
	o := pax.Options{Sparse: true}
	if len(tops) != 1 || nameOf(tops[0]) != "." { // the root of what is made is no node then
		o.Bare, o.Parts = true, [][]pax.Span{{{First: 1, End: made.Len()}}}
	}
	l, err := pax.New(made, o)
	if err != nil {
		return c.omitted, err
	}
	b := bufio.NewWriterSize(w, bufferSize)
	if err := stream(ctx, b, l); err != nil {
		return c.omitted, err
	}
	return c.omitted, b.Flush()
}

// bufferSize is that of reads and writes in bytes.
const bufferSize = 1 << 18

// A collector makes one tree of nodes of another one.
type collector struct {
	builder *tree.Builder
	first   map[*tree.Node]*tree.Node // the copies of what may have further names
	omitted []Omission
}

// all adds a node and everything below it.
func (c *collector) all(ctx context.Context, top tree.Walked) error {
	base := nameOf(top)
	if base != "." && c.builder.Find("/"+base) != nil {
		return fmt.Errorf("%s: there is another %s in the archive already", tree.Shown(top.Path), tree.Shown(base))
	}
	for below, n := range tree.Walk("", top.Node) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name, inode := base+below, n.Inode()
		if inode.Kind() == tree.Socket {
			c.omitted = append(c.omitted, Omission{name, "is omitted: a tar archive cannot hold sockets"})
			continue
		}
		if err := c.builder.Add(name, c.copy(inode), "the image"); err != nil {
			return err
		}
	}
	return nil
}

// copy returns a copy of a node, or a link to the earlier one.
func (c *collector) copy(inode *tree.Node) *tree.Node {
	if first := c.first[inode]; first != nil {
		return tree.NewLink("", first)
	}
	n := inode.Copy()
	if n.Kind() != tree.Dir {
		c.first[inode] = n
	}
	return n
}

// stream writes a layout in order.
func stream(ctx context.Context, w io.Writer, l *pax.Layout) error {
	buf := make([]byte, bufferSize)
	at := int64(0)
	put := func(b tree.Blob) error {
		at += b.Size()
		return tree.Copy(ctx, w, b, buf)
	}
	for e := range l.Extents(0) {
		if err := put(zeros(e.Off - at)); err != nil {
			return err
		}
		if err := put(tree.Slice(e.Blob, e.At, e.Len)); err != nil {
			return err
		}
	}
	return put(zeros(l.Size() - at))
}

// zeros returns n bytes that no extent covers.
func zeros(n int64) tree.Blob { return extent.NewBlob(extent.List(nil), n) }
