package closure

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"

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
	slices.SortStableFunc(slots, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.node().Size(), b.node().Size()), cmp.Compare(a.node().Attr.Mode, b.node().Attr.Mode))
	})
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
	dir []*tree.Node
	at  int
}

func (s slot) node() *tree.Node { return s.dir[s.at] }

// like tells whether two files may be equal, as far as can be told without reading them.
func (s slot) like(o slot) bool {
	return s.node().Size() == o.node().Size() && s.node().Attr.Mode == o.node().Attr.Mode
}

// slotsOf adds the places of all files below a directory.
func slotsOf(dir *tree.Node, slots []slot) []slot {
	for i, c := range dir.Children() {
		switch c.Kind() {
		case tree.File:
			slots = append(slots, slot{dir.Children(), i})
		case tree.Dir:
			slots = slotsOf(c, slots)
		}
	}
	return slots
}

// unify puts links in the place of all equal files but the first.
func unify(ctx context.Context, slots []slot) error {
	inodes := map[[sha256.Size]byte]*inode{}
	for _, s := range slots {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := s.node()
		sum, err := contentSum(n.Blob())
		if err != nil {
			return fmt.Errorf("compare files: %w", err)
		}
		if first := inodes[sum]; first != nil && first.names < maxLinks {
			first.names++
			s.dir[s.at] = tree.NewLink(n.Name, first.node)
		} else {
			inodes[sum] = &inode{n, 1}
		}
	}
	return nil
}

// contentSum is the SHA-256 of a blob.
func contentSum(b tree.Blob) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	if b.Size() > 0 {
		r, err := b.Open()
		if err != nil {
			return sum, err
		}
		defer r.Close()
		if _, err := io.Copy(h, io.NewSectionReader(r, 0, b.Size())); err != nil {
			return sum, err
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
