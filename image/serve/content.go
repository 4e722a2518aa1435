package serve

import (
	"context"
	"iter"

	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/tree"
)

// findChecks makes a check for every store item and every content with a pin. Contents that the disk does not hold as they are, because a
// boot program was made of them or the file system changes them, are returned as early: they are checked before anything is served.
func (l *layoutDisk) findChecks() (list []*check, early []tree.Blob) {
	for _, item := range l.Plan.Items {
		if c := l.itemCheck(item); c != nil {
			list = append(list, c)
		}
	}
	known := map[tree.Blob]bool{}
	for b := range l.contents() {
		if _, ok := tree.PinOf(b); !ok || known[b] {
			continue
		}
		known[b] = true
		if c := l.pinnedCheck(b); c != nil {
			list = append(list, c)
		} else {
			early = append(early, b)
		}
	}
	return list, early
}

// contents yields the contents of the disk that may have a pin, some of them more than once.
func (l *layoutDisk) contents() iter.Seq[tree.Blob] {
	return func(yield func(tree.Blob) bool) {
		for _, b := range l.Plan.BootInputs {
			if !yield(b) {
				return
			}
		}
		for _, raw := range l.Plan.Raw {
			if !yield(raw.Content) {
				return
			}
		}
		for _, r := range l.Layout.Regions {
			if r.ByHostTool() {
				continue
			}
			for b := range contentsOf(r) {
				if !yield(b) {
					return
				}
			}
		}
	}
}

// contentsOf yields the contents of a region: those of its files, or its raw content.
func contentsOf(r *plan.Region) iter.Seq[tree.Blob] {
	return func(yield func(tree.Blob) bool) {
		if r.Tree == nil {
			for e := range r.Maker.Extents(0) {
				if !yield(e.Blob) {
					return
				}
			}
			return
		}
		for n := range r.Tree.Nodes() {
			if n.Kind() == tree.File && !yield(n.Blob()) {
				return
			}
		}
	}
}

// pinnedCheck makes the check of a content with a pin, nil if the disk does not hold it.
func (l *layoutDisk) pinnedCheck(b tree.Blob) *check {
	c := &check{name: tree.HostPath(b)}
	c.run = func(ctx context.Context) error { return l.checkPinned(ctx, b) }
	if l.sources.belong(b, []*check{c}) == 0 {
		return nil
	}
	return c
}

// itemCheck makes the check of an item, nil if none of its files will be read: it has none, or host tools have copied them.
func (l *layoutDisk) itemCheck(item *plan.Item) *check {
	c := &check{name: item.Info.Path.String()}
	c.run = func(ctx context.Context) error { return l.checkItem(ctx, item) }
	to, files, found := []*check{c}, 0, 0
	for _, n := range tree.Walk("", item.Node) {
		if n.Kind() == tree.File && n.Size() > 0 {
			files++
			found += l.sources.belong(n.Blob(), to)
		}
	}
	if files == 0 {
		l.bare = append(l.bare, item)
	}
	if found == 0 {
		return nil
	}
	return c
}

// checkItem compares an item with its hash. Its files must be those that were recorded, so the result holds for what was served.
func (l *layoutDisk) checkItem(ctx context.Context, item *plan.Item) error {
	if err := write.CheckItem(ctx, item); err != nil {
		return err
	}
	for _, n := range tree.Walk("", item.Node) {
		if n.Kind() != tree.File {
			continue
		}
		if err := l.sources.same(n.Blob()); err != nil {
			return err
		}
	}
	return nil
}

func (l *layoutDisk) checkPinned(ctx context.Context, b tree.Blob) error {
	if err := write.CheckPinned(ctx, b); err != nil {
		return err
	}
	return l.sources.same(b)
}

// checkEarly compares contents that are not read later with their hashes.
func (l *layoutDisk) checkEarly(ctx context.Context, pinned []tree.Blob) error {
	for _, b := range pinned {
		if err := write.CheckPinned(ctx, b); err != nil {
			return err
		}
	}
	for _, item := range l.bare {
		if err := write.CheckItem(ctx, item); err != nil {
			return err
		}
	}
	return nil
}
