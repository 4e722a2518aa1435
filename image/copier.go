package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"imprint/closure/nar"
	"imprint/internal/stream"
	"imprint/internal/tree"
)

func (p *planner) copyItems(ctx context.Context, w *stream.Worker, t target, items []*Item) error {
	c := copier{p: p, w: w, t: t, narHash: sha256.New()}
	for _, item := range items {
		if err := c.item(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

// copier moves the items of one job.
type copier struct {
	p       *planner
	w       *stream.Worker
	t       target
	narHash hash.Hash
	places  []stream.Place
}

// item moves one item, and compares its NAR hash with the one that it was registered with.
func (c *copier) item(ctx context.Context, item *Item) error {
	if !c.p.verify {
		return c.each(ctx, item.Node)
	}
	if size := nar.Size(item.Node); size != item.Info.NARSize {
		return fmt.Errorf("%v has changed: its NAR has %d bytes, but it is registered with %d: %w", item.Info.Path, size, item.Info.NARSize, ErrMismatch)
	}
	c.narHash.Reset()
	err := nar.Write(c.narHash, item.Node, func(h io.Writer, n *tree.Node) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return c.file(n, h)
	})
	if err != nil {
		return fmt.Errorf("%v: %w", item.Info.Path, err)
	}
	if got := nar.Digest(c.narHash.Sum(nil)); got != item.Info.NARHash {
		return &HashMismatch{Path: item.Info.Path, Registered: item.Info.NARHash, Found: got}
	}
	return nil
}

// each moves the files of an item when nothing is hashed.
func (c *copier) each(ctx context.Context, n *tree.Node) error {
	if n.Kind() == tree.File {
		return c.file(n, nil)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, k := range n.Children() {
		if err := c.each(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// file moves one file. A further name of a file is only hashed: its content is written once.
func (c *copier) file(n *tree.Node, h io.Writer) error {
	b := n.Inode().Blob()
	if n.Kind() == tree.Link {
		return c.w.Copy(b, stream.To{Hash: h})
	}
	var more []stream.Place
	if c.p.carrier[b] == n {
		more = c.p.further[b]
	}
	c.places = c.t.places(c.places[:0], n)
	return c.w.Copy(b, stream.To{Places: c.places, Further: more, Grain: c.t.block, Hash: h})
}
