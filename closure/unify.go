package closure

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"imprint/closure/nar"
	"imprint/internal/tree"
)

// AnySize is more than the bytes of any file.
const AnySize = math.MaxInt64

// Unify hard-links equal files inside of one item. Builders leave hard links in their outputs, sometimes hundreds. A NAR does not record
// them, so of two stores with the same item one may have them and the other not. Linking by content makes the image as small as the builder
// meant it to be, and the same from any source.
//
// Only files of fewer bytes than below are linked, where the store's optimiser links the others; for those of any size it is
// [AnySize]. Files are equal when content and executable bit are. Only files that have the size of another one in the item are read. The first in the
// order of the tree is the inode, up to the 65,000 names it can have. The directories of n are changed.
func Unify(ctx context.Context, n *tree.Node, below int64) error {
	for slots := range alike(n, below) {
		if err := unify(ctx, slots); err != nil {
			return err
		}
	}
	return nil
}

// Compares reports whether [Unify] reads contents.
func Compares(n *tree.Node, below int64) bool {
	for slots := range alike(n, below) {
		if slots[0].size > 0 {
			return true
		}
	}
	return false
}

// alike yields the files of fewer bytes than below that can be equal, if there are at least two.
func alike(n *tree.Node, below int64) iter.Seq[[]slot] {
	return func(yield func([]slot) bool) {
		slots := slotsOf(n, below, nil)
		slices.SortStableFunc(slots, func(a, b slot) int { return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.mode, b.mode)) })
		for len(slots) > 0 {
			k := 1
			for k < len(slots) && slots[k].like(slots[0]) {
				k++
			}
			if k > 1 && !yield(slots[:k]) {
				return
			}
			slots = slots[k:]
		}
	}
}

// A slot is the entry of a file in its directory.
type slot struct {
	at   **tree.Node
	size int64
	mode uint16
}

// like reports whether two files can be equal, without reading them.
func (s slot) like(o slot) bool { return s.size == o.size && s.mode == o.mode }

// slotsOf appends the slots of all files of fewer bytes than below in a directory and its subdirectories.
func slotsOf(dir *tree.Node, below int64, slots []slot) []slot {
	for i, c := range dir.Children() {
		switch {
		case c.Kind() == tree.File && c.Size() < below:
			slots = append(slots, slot{&dir.Children()[i], c.Size(), c.Attr.Mode})
		case c.Kind() == tree.Dir:
			slots = slotsOf(c, below, slots)
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
