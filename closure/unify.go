package closure

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"imprint/closure/nar"
	"imprint/internal/tree"
)

// Unify makes equal files inside one item one inode. Builders leave hard links in their outputs, some of them hundreds; a NAR does not
// tell of them, so of two stores with the same item one may have them and the other not. What is linked follows from the contents
// here, so the image is as small as the builder meant it to be, and the same whatever the source looks like.
//
// Files are equal when content and executable bit are. Only files of the same size in the same item are read for it. The first in the
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

// A slot is the place of a file in its directory.
type slot struct {
	at   **tree.Node
	size int64
	mode uint16
}

// like reports whether two files may be equal, as far as can be told without reading them.
func (s slot) like(o slot) bool { return s.size == o.size && s.mode == o.mode }

// slotsOf adds the places of all files below a directory.
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

// unify puts links in the place of all equal files but the first.
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
