package diff

import (
	"cmp"
	"fmt"
	"slices"

	"imprint/image/disk"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// outer returns the regions that are ranges of the disk, and not files of other regions, by offset.
func outer(d *disk.Disk) []*disk.Region {
	list := slices.DeleteFunc(slices.Clone(d.Regions), func(r *disk.Region) bool { return r.In != nil })
	slices.SortStableFunc(list, func(a, b *disk.Region) int { return cmp.Compare(a.Offset, b.Offset) })
	return list
}

// A pair is a region of A and its counterpart in B. Either may be nil.
type pair struct{ a, b *disk.Region }

// pairs matches the regions of two disks by name, else by number; regions that are files by path and outer region.
func pairs(a, b *disk.Disk) (list []pair) {
	left := slices.Clone(b.Regions)
	take := func(is func(r *disk.Region) bool) *disk.Region {
		i := slices.IndexFunc(left, func(r *disk.Region) bool { return r != nil && is(r) })
		if i < 0 {
			return nil
		}
		r := left[i]
		left[i] = nil
		return r
	}
	for _, r := range a.Regions {
		other := take(func(o *disk.Region) bool { return o.String() == r.String() })
		list = append(list, pair{r, other})
	}
	for i, p := range list {
		if p.b == nil && p.a.In == nil {
			list[i].b = take(func(o *disk.Region) bool { return o.In == nil && o.Number == p.a.Number })
		}
	}
	for _, r := range left {
		if r != nil {
			list = append(list, pair{nil, r})
		}
	}
	return list
}

// name returns the name of the region, that in A if it has one.
func (p pair) name() string {
	if p.a != nil {
		return p.a.String()
	}
	return p.b.String()
}

// notMade describes contents that are not known yet.
const notMade = "content is not known before a host tool has made it"

// regions compares all regions.
func (c *comparison) regions() error {
	for _, p := range pairs(c.a, c.b) {
		if p.b == nil && slices.Contains(c.Unknown, p.a.String()) {
			continue // reported as a file
		}
		if p.b != nil && slices.Contains(c.Unknown, p.b.String()) {
			c.add(Change{Class: Layout, Region: p.name(), Object: "partition", What: Changed, Field: notMade, Offset: -1})
			continue
		}
		if err := c.region(p); err != nil {
			return fmt.Errorf("compare %s: %w", p.name(), err)
		}
	}
	return nil
}

// region compares the two regions of a pair.
func (c *comparison) region(p pair) error {
	switch {
	case p.b == nil:
		c.whole(p.a, Removed)
		return nil
	case p.a == nil:
		c.whole(p.b, Added)
		return nil
	}
	c.properties(p)
	found, err := c.rangesOf(p)
	if err != nil || c.sameBytes(p, found) {
		return err
	}
	before := len(c.changes)
	switch {
	case p.a.Volume != nil && p.b.Volume != nil:
		if err := c.trees(p); err != nil {
			return err
		}
	case p.a.Kind == p.b.Kind && p.a.Volume == nil && p.b.Volume == nil:
		return c.raw(p)
	}
	return c.structure(p, found, c.changes[before:])
}

// whole adds the change of a region that only one disk has.
func (c *comparison) whole(r *disk.Region, what string) {
	kind := "without a file system"
	if r.Kind != "" {
		kind = r.Kind
	}
	c.add(Change{Class: Layout, Region: r.String(), Object: "partition", What: what, A: fmt.Sprintf("%s, %s", kind, units.FormatBytes(r.Size)), Offset: -1, Bytes: r.Size})
}

// properties compares what the partition table says about a region, and what its file system says of itself.
func (c *comparison) properties(p pair) {
	a, b, name := p.a, p.b, p.name()
	c.field(Layout, name, "partition", "number", a.Number, b.Number)
	c.field(Layout, name, "partition", "name", a.Name, b.Name)
	c.field(Layout, name, "partition", "type", a.Type, b.Type)
	if b.PartUUID != "" || a.PartUUID == "" { // otherwise it is not known
		c.field(ID, name, "partition", "PARTUUID", a.PartUUID, b.PartUUID)
	}
	c.field(Layout, name, "partition", "attributes", a.Attributes, b.Attributes)
	c.size(name, "partition", "offset", a.Offset, b.Offset)
	c.size(name, "partition", "size", a.Size, b.Size)
	c.field(Layout, name, "partition", "file system", a.Kind, b.Kind)
	if a.Volume == nil || b.Volume == nil {
		c.field(Structure, name, "file system", "error", errorText(a.Err), errorText(b.Err))
		return
	}
	v, w := a.Volume, b.Volume
	c.field(ID, name, "file system", "id", v.ID, w.ID)
	c.field(File, name, "file system", "label", v.Label, w.Label)
	if v.Size == 0 || w.Size == 0 {
		return // not made yet
	}
	c.size(name, "file system", "size", v.Size, w.Size)
	c.field(Layout, name, "file system", "block size", v.Stats.BlockSize, w.Stats.BlockSize)
	c.field(Layout, name, "file system", "inodes", v.Stats.Inodes, w.Stats.Inodes)
	c.field(Layout, name, "file system", "journal", v.Stats.Journal, w.Stats.Journal)
	c.field(Layout, name, "file system", "features", fmt.Sprint(v.Features), fmt.Sprint(w.Features))
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// rangesOf returns the bytes of a region that differ, nil if bytes are not compared.
func (c *comparison) rangesOf(p pair) ([]spans, error) {
	switch {
	case c.Values || p.a.In != nil && p.a.Size != p.b.Size:
		return nil, nil
	case p.a.In == nil && c.inPlace(p):
		return c.own(p.a), nil
	case p.a.Size != p.b.Size:
		return nil, nil
	}
	a, err := p.a.Blob().Open()
	if err != nil {
		return nil, err
	}
	defer a.Close()
	b, err := p.b.Blob().Open()
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return differing(c.ctx, a, b, dataOf(p.content()))
}

// own returns the differences in a region of A itself: an ISO also spans the partition table before its tree, and the partitions after it.
func (c *comparison) own(r *disk.Region) (parts []spans) {
	at := r.Offset
	if isWhole(r) {
		at += isoSystemArea
	}
	take := func(end int64) {
		for _, s := range cut(c.differ, at, max(at, end)) {
			parts = append(parts, spans{Off: s.Off + at - r.Offset, Len: s.Len})
		}
	}
	for _, other := range outer(c.a) {
		if isWhole(r) && other != r && other.Offset > at && other.Offset < r.Offset+r.Size {
			take(other.Offset)
			at = other.Offset + other.Size
		}
	}
	take(r.Offset + r.Size)
	return parts
}

// content returns the contents of a pair of regions that are files, whose holes are known.
func (p pair) content() (a, b tree.Blob) {
	of := func(r *disk.Region) tree.Blob {
		if r.In == nil {
			return r.Blob()
		}
		return r.In.Volume.Tree.Find(r.Path).Blob()
	}
	return of(p.a), of(p.b)
}

// inPlace reports whether the bytes of A's region were compared with those at its place in B.
func (c *comparison) inPlace(p pair) bool {
	return c.same && (c.little || p.a.Offset == p.b.Offset && p.a.Size == p.b.Size)
}

// sameBytes reports whether all bytes of a region are known to be equal.
func (c *comparison) sameBytes(p pair, found []spans) bool {
	return !c.Values && p.a.Size == p.b.Size && (p.a.Offset == p.b.Offset || p.a.In != nil) && len(found) == 0
}

// raw compares a region without a file system that can be read.
func (c *comparison) raw(p pair) error {
	if p.a.Size != p.b.Size {
		return nil // already reported
	}
	a, b := p.content()
	t, err := contents(c.ctx, a, b)
	if err == nil && t.bytes > 0 {
		c.add(Change{Class: File, Region: p.name(), Object: "partition", What: Changed, Field: "content", Offset: t.first, Bytes: t.bytes})
	}
	return err
}
