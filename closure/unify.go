package closure

import (
	"context"
	"fmt"
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
// [AnySize]. Files are equal when content and executable bit are. Only files that have the size of another one in the item are read, in the order of an
// archive. The first in that order is the inode, up to the 65,000 names it can have. The directories of n are changed. again is called for each file
// that becomes a link, with the content of the inode and its own, unless it is nil.
func Unify(ctx context.Context, n *tree.Node, below int64, again func(inode, own tree.Blob)) error {
	inodes := map[alike]*linkedFile{}
	for _, s := range candidates(n, below) {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := *s.at
		sum, _, err := nar.Hash(n)
		if err != nil {
			return fmt.Errorf("compare files: %w", err)
		}
		first := inodes[alike{sum, s.kind}]
		if first == nil || first.names == maxLinks {
			inodes[alike{sum, s.kind}] = &linkedFile{n, 1}
			continue
		}
		first.names++
		*s.at = tree.NewLink(n.Name, first.node)
		if again != nil {
			again(first.node.Blob(), n.Blob())
		}
	}
	return nil
}

// alike is what equal files have in common.
type alike struct {
	sum nar.Digest
	kind
}

// Compares reports whether [Unify] reads contents.
func Compares(n *tree.Node, below int64) bool {
	return slices.ContainsFunc(candidates(n, below), func(s slot) bool { return s.size > 0 })
}

// candidates returns the files of fewer bytes than below that can be equal to another one, in the order of an archive.
func candidates(n *tree.Node, below int64) []slot {
	slots, count := slotsOf(n, below, nil), map[kind]int{}
	for _, s := range slots {
		count[s.kind]++
	}
	return slices.DeleteFunc(slots, func(s slot) bool { return count[s.kind] < 2 })
}

// A slot is the entry of a file in its directory.
type slot struct {
	at **tree.Node
	kind
}

// kind is what files have in common that can be equal, as far as is known without reading them.
type kind struct {
	size int64
	mode uint16
}

// slotsOf appends the slots of all files of fewer bytes than below in a directory and its subdirectories.
func slotsOf(dir *tree.Node, below int64, slots []slot) []slot {
	for i, c := range dir.Children() {
		switch {
		case c.Kind() == tree.File && c.Size() < below:
			slots = append(slots, slot{&dir.Children()[i], kind{c.Size(), c.Attr.Mode}})
		case c.Kind() == tree.Dir:
			slots = slotsOf(c, below, slots)
		}
	}
	return slots
}
