package source

import (
	"context"
	"fmt"

	"imprint/closure"
	"imprint/closure/listing"
	"imprint/internal/cas"
)

// probes is the number of items for which a server is asked for a listing before it counts as one without them.
const probes = 16

// list looks for the listings of items that the build store does not have.
func (c *Cache) list(ctx context.Context, items []*closure.Info) error {
	if c.Compares == nil {
		return nil
	}
	var want []*closure.Info
	for _, info := range items {
		if e := c.entries[info.Path]; e.kept == nil && e.file == nil && !info.Path.IsDerivation() {
			want = append(want, info)
		}
	}
	if n := min(probes, len(want)); !c.dir.Local() && n > 0 {
		if err := each(ctx, want[:n], inFlight, c.listOne); err != nil || !c.haveListing(want[:n]) {
			return err
		}
		want = want[n:]
	}
	return each(ctx, want, inFlight, c.listOne)
}

// haveListing reports whether a listing was found for one of some items.
func (c *Cache) haveListing(items []*closure.Info) bool {
	for _, info := range items {
		if c.entries[info.Path].stream != nil {
			return true
		}
	}
	return false
}

// listOne looks for the listing of an item. Items without one, or with one that is damaged, are fetched. A listing that does not fit the size of the
// archive is wrong; one that is wrong otherwise gives a tree with another hash, as writing finds out.
func (c *Cache) listOne(ctx context.Context, info *closure.Info) error {
	name := digits(info.Path) + listing.Suffix
	text, err := c.dir.ReadFile(ctx, name, listing.MaxSize)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return nil
	}
	shape, err := listing.Parse(text)
	if err != nil {
		return nil
	}
	e := c.entries[info.Path]
	s := &streamed{cache: c, info: info, e: e}
	n, size, err := shape.Tree(s, closure.CanonicalAttr)
	if err == nil && size != info.NARSize {
		err = fmt.Errorf("its files make an archive of %d bytes, not of %d", size, info.NARSize)
	}
	if err != nil {
		return c.invalid("%s: %v", name, err)
	}
	n.Name = info.Path.Base()
	e.stream, e.tree = s, n
	return nil
}

// early makes the files of an item readable that are compared with each other before they are written.
func (c *Cache) early(ctx context.Context, info *closure.Info) error {
	if c.keeps() {
		e := c.entries[info.Path]
		e.stream, e.tree = nil, nil
		return c.fetch(ctx, info)
	}
	return c.setApart(ctx, info)
}

// keeps reports whether the build store keeps what is streamed. What is on this machine is as near as the build store.
func (c *Cache) keeps() bool { return !c.NoKeep && !c.dir.Local() }

// copy returns what keeps an archive that is about to be streamed; nil if it is not kept. Another process may have kept it meanwhile.
func (s *streamed) copy(ctx context.Context) *cas.Pending {
	c := s.cache
	if !c.keeps() {
		return nil
	}
	p, err := c.kept.Begin(ctx, s.info.NARHash, s.info.NARSize)
	if err != nil {
		if ctx.Err() == nil {
			c.notKept(err)
		}
		return nil
	}
	if b, err := c.kept.Get(ctx, s.info.NARHash, s.info.NARSize); err == nil {
		p.Drop()
		s.kept = b
		return nil
	}
	return p
}

// notKept says, once, why something is not kept.
func (c *Cache) notKept(err error) {
	c.unkept.Do(func() {
		if c.NotKept != nil {
			c.NotKept(fmt.Errorf("what comes from %v is not kept: %w", c, err))
		}
	})
}
