package layer

import (
	"bytes"
	"slices"

	"imprint/internal/tree"
)

// A Change is a path at which two trees differ.
type Change struct {
	Path string
	Old  *tree.Node // nil if it is only in the second tree
	New  *tree.Node // nil if it is only in the first
}

// Changes returns where two trees differ, in the order of a walk. Of what only one of them has, only the top is listed. Contents are compared by
// their pins.
func Changes(a, b *tree.Tree) (list []Change) {
	changes(&list, "/", a.Root(), b.Root())
	return list
}

func changes(list *[]Change, path string, a, b *tree.Node) {
	if !Equal(a, b) {
		*list = append(*list, Change{path, a, b})
	}
	if a.Kind() != tree.Dir || b.Kind() != tree.Dir {
		return
	}
	for _, name := range namesOf(a, b) {
		below, old, new := tree.Join(path, name), a.Child(name), b.Child(name)
		if old == nil || new == nil {
			*list = append(*list, Change{below, old, new})
			continue
		}
		changes(list, below, old, new)
	}
}

func namesOf(dirs ...*tree.Node) (names []string) {
	for _, dir := range dirs {
		for _, c := range dir.Children() {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Equal reports whether two nodes are the same but for what is in them, if they are directories. Hard links count as the file.
func Equal(a, b *tree.Node) bool {
	a, b = a.Inode(), b.Inode()
	switch {
	case a.Kind() != b.Kind() || a.Target() != b.Target() || a.Device() != b.Device() || !equalAttr(a.Attr, b.Attr):
		return false
	case a.Kind() != tree.File:
		return true
	}
	return sameContent(a.Blob(), b.Blob())
}

func sameContent(a, b tree.Blob) bool {
	x, okA := tree.PinOf(a)
	y, okB := tree.PinOf(b)
	return a == b || okA && okB && x == y && a.Size() == b.Size()
}

func equalAttr(a, b *tree.Attr) bool {
	return a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.Mtime == b.Mtime &&
		slices.EqualFunc(a.Xattrs, b.Xattrs, func(x, y tree.Xattr) bool { return x.Name == y.Name && bytes.Equal(x.Value, y.Value) })
}
