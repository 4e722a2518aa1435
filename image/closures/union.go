package closures

import (
	"iter"
	"slices"

	"imprint/closure"
	"imprint/image/description"
	"imprint/image/plan"
)

// A Union is all closures of a description: each item once, with its content.
type Union struct {
	Closures []*plan.Closure // in the order of the description
	Items    []*plan.Item    // references first
	Database []byte          // SQLite database that registers all items
	Walker   closure.Walker  // over all items
}

// roots returns the roots of the named closure.
func (u *Union) roots(name string) []closure.Path {
	for _, c := range u.Closures {
		if c.Name == name {
			return c.Roots
		}
	}
	return nil
}

// Reference resolves a substitution that names a root; "" for others. Without an index it is the only root, or the
// current generation of a profile.
func (u *Union) Reference(ref description.Reference) string {
	roots := u.roots(ref.Name)
	switch {
	case ref.Kind != "closure" || ref.Index >= len(roots):
		return ""
	case !ref.Indexed:
		return roots[len(roots)-1].String()
	}
	return roots[ref.Index].String()
}

// KeptByProfiles returns the items that profiles of the named closures keep from the garbage collector. A root of ours would
// keep them longer than their generation.
func (u *Union) KeptByProfiles(names []string) map[closure.Path]bool {
	kept := map[closure.Path]bool{}
	for _, c := range u.Closures {
		for _, root := range c.Roots {
			if c.Profile != "" && slices.Contains(names, c.Name) {
				kept[root] = true
			}
		}
	}
	u.withReferences(kept)
	return kept
}

// ItemsOf returns the items of the named closures, references first.
func (u *Union) ItemsOf(names []string) (items []*plan.Item) {
	wanted := map[closure.Path]bool{}
	for _, name := range names {
		for _, root := range u.roots(name) {
			wanted[root] = true
		}
	}
	u.withReferences(wanted)
	for _, item := range u.Items {
		if wanted[item.Info.Path] {
			items = append(items, item)
		}
	}
	return items
}

// withReferences adds to a set of items everything that they refer to. A referrer comes after everything it refers to, so one
// pass backwards finds them all.
func (u *Union) withReferences(wanted map[closure.Path]bool) {
	for _, item := range slices.Backward(u.Items) { // referrers first
		if wanted[item.Info.Path] {
			for _, ref := range item.Info.References {
				wanted[ref] = true
			}
		}
	}
}

// ItemsAt yields the store items of a partition with their indices.
func (u *Union) ItemsAt(d *description.Partition) iter.Seq2[int, *plan.Item] {
	return func(yield func(int, *plan.Item) bool) {
		for _, item := range u.ItemsOf(description.Strings(d.Closures)) {
			if !yield(slices.Index(u.Items, item), item) {
				return
			}
		}
	}
}
