package diff

import (
	"io"
	"regexp"
	"slices"
	"strings"

	"imprint/image/disk"
)

// structure names the bytes of a region that differ, except in files that were reported before.
func (c *comparison) structure(p pair, found []spans, before []Change) error {
	if len(found) == 0 {
		return nil
	}
	a, err := p.a.Blob().Open()
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := p.b.Blob().Open()
	if err != nil {
		return err
	}
	defer b.Close()
	n := newNamer(p.name(), explainer{a, explainOf(p.a)}, explainer{b, explainOf(p.b)}, p.a.Size)
	if p.a.In == nil && (p.a.Offset != p.b.Offset || p.a.Size != p.b.Size) {
		at := p.a.Offset
		n.b = explainer{io.NewSectionReader(c.b.Image(), at, p.a.Size), func(off int64) string { return c.b.Explain(off + at) }}
	}
	n.skip = reported(before, nestedPaths(p, c.a, c.b))
	if n.moved = reshaped(before); n.moved {
		n.left /= 10 // nobody reads so many changes
	}
	return c.nameBytes(n, found)
}

// explainOf returns a function that explains the bytes of a region. Files in it that are regions are compared on their own.
func explainOf(r *disk.Region) func(off int64) string {
	if r.Volume == nil {
		return r.Explain
	}
	return r.Volume.Explain
}

// reshaped reports whether changes move other files and their metadata.
func reshaped(changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool {
		return c.What != Changed || c.Field == "content" && c.Offset < 0 || c.Field == "size"
	})
}

// isoSystemArea is the size in bytes of the system area of an ISO, which holds boot code and the partition table (ECMA-119, 6.2.1).
const isoSystemArea = 32 << 10

func isWhole(r *disk.Region) bool {
	return r.Volume != nil && r.Volume.Filesystem.WholeDisk && r.In == nil && r.Offset == 0
}

// outside names the bytes that differ outside of all regions: the partition table, boot code and raw content.
func (c *comparison) outside() error {
	if !c.same {
		return nil
	}
	n := newNamer("", explainer{c.a.Image(), c.a.Explain}, explainer{c.b.Image(), c.b.Explain}, c.a.Size)
	n.skip = func(string) bool { return false }
	at, rest := int64(0), []spans(nil)
	gap := func(end int64) {
		for _, s := range cut(c.differ, at, max(at, end)) {
			rest = append(rest, spans{Off: s.Off + at, Len: s.Len})
		}
	}
	for _, r := range outer(c.a) {
		from, end := r.Offset, r.Offset+r.Size
		if isWhole(r) {
			from += isoSystemArea
		}
		gap(from)
		at = max(at, end)
	}
	gap(c.a.Size)
	return c.nameBytes(n, rest)
}

// nameBytes runs a namer and adds the changes that it finds.
func (c *comparison) nameBytes(n *namer, found []spans) error {
	for _, s := range found {
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		if err := n.span(s); err != nil {
			return err
		}
	}
	for _, change := range n.order {
		c.add(*change)
	}
	if n.unnamed > 0 {
		class := Structure
		if n.moved {
			class = Derived
		}
		c.add(Change{Class: class, Region: n.region, Object: "further structure", What: Changed, Offset: n.firstOff, Bytes: n.unnamed})
	}
	return nil
}

// reported returns a function that reports whether a place belongs to a change that was reported before: the content of a file, or a field
// of its inode or directory entry.
func reported(before []Change, nested map[string]bool) func(place string) bool {
	content, size, times, attrs := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range before {
		switch {
		case c.Class == Time:
			times[c.Object] = true
		case c.Field == "mode" || c.Field == "owner":
			attrs[c.Object] = true
		case c.Field == "content" || c.Field == "target":
			content[c.Object] = true
			size[c.Object] = true
		}
	}
	return func(place string) bool {
		path, field, ok := subject(place)
		if !ok {
			_, path, _ = strings.Cut(place, " ") // "file /etc/passwd"
			return content[path] || nested[path]
		}
		return times[path] && timeField.MatchString(field) || attrs[path] && attrField.MatchString(field) || size[path] && sizeField.MatchString(field)
	}
}

// subject splits the explanation of a field in an inode or a directory entry into the path of the file and the field.
func subject(place string) (path, field string, ok bool) {
	if m := entryForm.FindStringSubmatch(place); m != nil {
		return m[1], m[2], true
	}
	open, end := strings.Index(place, " ("), strings.LastIndex(place, "), ")
	if open < 0 || end < open {
		return "", "", false
	}
	return place[open+2 : end], place[end+3:], true
}

var entryForm = regexp.MustCompile(`^directory entry of (.*), (.*)$`)
