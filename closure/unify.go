package closure

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"imprint/closure/nar"
	"imprint/internal/tree"
)

// Unify hard-links equal files inside of one item. Builders leave hard links in their outputs, sometimes hundreds. A NAR does not record
// them, so of two stores with the same item one may have them and the other not. Linking by content makes the image as small as the builder
// meant it to be, and the same from any source.
//
// Files are equal when content and executable bit are. Only files that have the size of another one in the item are read. The first in the
// order of the tree is the inode, up to the 65,000 names it can have. The directories of n are changed.
func Unify(ctx context.Context, n *tree.Node) error {
	slots := slotsOf(n, nil)
	slices.SortStableFunc(slots, func(a, b slot) int { return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.mode, b.mode)) })
	for len(slots) > 0 {
		k := 1
		for k < len(slots) && slots[k].like(slots[0]) {
			k++
		}
		if k > 1 {
			if err := unify(ctx, slots[:k]); err != nil {
				return err
			}
		}
		slots = slots[k:]
	}
	return nil
}

// A slot is the entry of a file in its directory.
type slot struct {
	at   **tree.Node
	size int64
	mode uint16
}

// like reports whether two files can be equal, without reading them.
func (s slot) like(o slot) bool { return s.size == o.size && s.mode == o.mode }

// slotsOf appends the slots of all files below a directory.
func slotsOf(dir *tree.Node, slots []slot) []slot {
	for i, c := range dir.Children() {
		switch c.Kind() {
		case tree.File:
			slots = append(slots, slot{&dir.Children()[i], c.Size(), c.Attr.Mode})
		case tree.Dir:
			slots = slotsOf(c, slots)
		}
	}
	return slots
}

// unify replaces all equal files but the first by links.
func unify(ctx context.Context, slots []slot) error {
	inodes := map[nar.Digest]*linkedFile{}
	for _, s := range slots {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := *s.at
		sum, _, err := nar.Hash(n)
		if err != nil {
			return fmt.Errorf("compare files: %w", err)
		}
		if first := inodes[sum]; first != nil && first.names < maxLinks {
			first.names++
			*s.at = tree.NewLink(n.Name, first.node)
		} else {
			inodes[sum] = &linkedFile{n, 1}
		}
	}
	return nil
}
