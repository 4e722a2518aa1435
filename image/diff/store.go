package diff

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"imprint/closure"
	"imprint/image/disk"
	"imprint/internal/chain"
)

// An item is a store item and the region that its store is in.
type item struct {
	*closure.Info
	region string
}

// A side is all stores of an image.
type side struct {
	items map[string]item
	graph chain.Graph
}

// items are the stores of both images.
type items struct {
	a, b    side
	flavors []closure.Flavor
	changed bool // a registration differs
}

// known reports whether a path is that of an item of both images.
func (s *items) known(path string) bool {
	_, a := s.a.items[path]
	_, b := s.b.items[path]
	return a && b
}

// oneSided reports whether a path is that of an item that only one image has. Such an item was reported by stores.
func (s *items) oneSided(path string) bool {
	_, a := s.a.items[path]
	_, b := s.b.items[path]
	return a != b
}

// same reports whether an item has the same NAR hash in both images.
func (s *items) same(path string) bool {
	a, b := s.a.items[path], s.b.items[path]
	return a.NARHash == b.NARHash && a.NARSize == b.NARSize
}

// isRoot reports whether a path is below the directories of GC roots and profiles.
func (s *items) isRoot(path string) bool {
	return slices.ContainsFunc(s.flavors, func(f closure.Flavor) bool {
		return strings.HasPrefix(path, f.StateDir+"/gcroots/") || strings.HasPrefix(path, f.StateDir+"/profiles/")
	})
}

// isDatabase reports whether a path is that of a store's database.
func (s *items) isDatabase(at string) bool {
	return slices.ContainsFunc(s.flavors, func(f closure.Flavor) bool { return path.Dir(at) == f.StateDir+"/db" })
}

// stores compares the registrations in the stores of both images.
func (c *comparison) stores() (err error) {
	if c.same && len(c.differ) == 0 {
		return nil
	}
	if c.items.a, err = c.read(c.a); err != nil {
		return err
	}
	if c.items.b, err = c.read(c.b); err != nil {
		return err
	}
	before := len(c.changes)
	a, b := c.items.a.items, c.items.b.items
	for _, path := range slices.Sorted(maps.Keys(a)) {
		if other, ok := b[path]; ok {
			c.item(path, a[path], other)
			continue
		}
		c.add(Change{Class: Store, Region: a[path].region, Object: path, What: Removed, Offset: -1, Bytes: a[path].NARSize, Item: path})
	}
	for _, path := range slices.Sorted(maps.Keys(b)) {
		if _, ok := a[path]; !ok {
			c.add(Change{Class: Store, Region: b[path].region, Object: path, What: Added, Offset: -1, Bytes: b[path].NARSize, Item: path})
		}
	}
	c.items.changed = len(c.changes) > before
	return nil
}

// read reads the registrations of all stores of an image. A damaged store has no items, and is a change of its own.
func (c *comparison) read(d *disk.Disk) (s side, err error) {
	s.items = map[string]item{}
	s.graph.References = map[string][]string{}
	for _, r := range d.Regions {
		stores, err := r.Stores(c.ctx)
		for _, store := range stores {
			err = errors.Join(err, s.store(c.ctx, r, store))
			c.items.flavors = append(c.items.flavors, store.Flavor())
			store.Close()
		}
		if c.ctx.Err() != nil {
			return s, context.Cause(c.ctx)
		}
		if err != nil {
			c.add(Change{Class: Store, Region: r.String(), Object: "store database", What: Changed, Field: "error", A: err.Error(), Offset: -1})
		}
	}
	for _, t := range d.Trees() {
		s.graph.Roots = append(s.graph.Roots, t.BootEntries(&s.graph)...)
	}
	return s, nil
}

// store reads one store.
func (s *side) store(ctx context.Context, r *disk.Region, store *closure.TreeStore) error {
	paths, err := store.Paths(ctx)
	if err != nil {
		return err
	}
	for _, p := range paths {
		info, err := store.Info(ctx, p)
		if err != nil {
			return err
		}
		s.items[p.String()] = item{info, r.String()}
	}
	g, err := store.Graph(ctx)
	if err != nil {
		return err
	}
	maps.Copy(s.graph.References, g.References)
	s.graph.Roots = append(s.graph.Roots, g.Roots...)
	return nil
}

// item compares the registration of an item.
func (c *comparison) item(path string, a, b item) {
	region := cmp.Or(b.region, a.region)
	for _, f := range []struct{ name, a, b string }{
		{"partition", a.region, b.region}, {"NAR hash", hashText(a), hashText(b)}, {"NAR size", fmt.Sprint(a.NARSize), fmt.Sprint(b.NARSize)},
		{"references", lost(a, b), lost(b, a)}, {"deriver", a.Deriver, b.Deriver}, {"content address", a.CA, b.CA},
		{"signatures", strings.Join(a.Sigs, " "), strings.Join(b.Sigs, " ")}, {"outputs", fmt.Sprint(a.Outputs), fmt.Sprint(b.Outputs)},
	} {
		if f.a != f.b {
			c.add(Change{Class: Store, Region: region, Object: path, What: Changed, Field: f.name, A: cutLine(f.a), B: cutLine(f.b), Offset: -1, Item: path})
		}
	}
}

func hashText(i item) string { return "sha256:" + hex.EncodeToString(i.NARHash[:]) }

// lost lists the references of a that b does not have.
func lost(a, b item) string {
	var list []string
	for _, r := range a.References {
		if !slices.Contains(b.References, r) {
			list = append(list, r.Base())
		}
	}
	return strings.Join(list, " ")
}

// causes adds the chain from a GC root to the item of each change.
func (c *comparison) causes() {
	var a, b *chain.Finder
	for i, change := range c.changes {
		if change.Item == "" {
			continue
		}
		if a == nil {
			a, b = c.items.a.graph.Shortest(), c.items.b.graph.Shortest()
		}
		found := b.To(change.Item)
		if len(found.Nodes) == 0 {
			found = a.To(change.Item)
		}
		if len(found.Nodes) > 0 {
			c.changes[i].Chain = &found
		}
	}
}
