package closure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"imprint/internal/repro"
	"imprint/internal/tree"
)

// A Store is where store items come from. Its methods may be called from several goroutines at once.
type Store interface {
	// Info returns what is registered about an item. The error wraps ErrNotFound when the path is not valid in this store.
	Info(ctx context.Context, p Path) (*Info, error)
	// Item returns the content of a valid item in canonical form, named by the path's Base: see Canonical.
	Item(ctx context.Context, p Path) (*tree.Node, error)
}

// ErrNotFound is in the error of a Store that does not have an item.
var ErrNotFound = errors.New("not valid in this store")

// A ReadFunc reads what lies at a path of the host, with all below it. A symlink at the path is not followed.
type ReadFunc func(hostPath string) (*tree.Node, error)

// The attributes that both stores give to whatever is in an item (canonicalisePathMetaData in Nix's local-store.cc): owned by root,
// unwritable, changed one second after 1970 began, without extended attributes.
var (
	canonicalDir     = &tree.Attr{Mode: 0o555, Mtime: tree.Time{Sec: repro.StoreEpoch}}
	canonicalProgram = canonicalDir
	canonicalFile    = &tree.Attr{Mode: 0o444, Mtime: tree.Time{Sec: repro.StoreEpoch}}
	canonicalSymlink = &tree.Attr{Mode: 0o777, Mtime: tree.Time{Sec: repro.StoreEpoch}}
)

// CanonicalAttr returns the attributes of a node in a store item; of the mode, only whether the owner may execute a file counts.
func CanonicalAttr(kind tree.Kind, mode uint16) *tree.Attr {
	switch {
	case kind == tree.Dir:
		return canonicalDir
	case kind == tree.Symlink:
		return canonicalSymlink
	case mode&0o100 != 0:
		return canonicalProgram
	}
	return canonicalFile
}

// Canonical returns what a ReadFunc gave with the attributes that a store item has, whatever the host's are: as a new node, unless it has
// them all. Hard links are taken apart, since they are the host's too: which files an image links is decided from their content.
// Anything else than files, directories and symlinks is an error with its path inside the item.
func Canonical(name string, n *tree.Node) (*tree.Node, error) {
	if isCanonical(n) {
		n.Name = name
		return n, nil
	}
	return canonical(name, "", n.Inode())
}

// isCanonical reports whether a node and all below it are as Canonical would make them.
func isCanonical(n *tree.Node) bool {
	switch n.Kind() {
	case tree.File:
		return n.Attr == canonicalFile || n.Attr == canonicalProgram
	case tree.Symlink:
		return n.Attr == canonicalSymlink
	case tree.Dir:
	default:
		return false
	}
	kids := n.Children()
	for i, c := range kids {
		if i > 0 && kids[i-1].Name >= c.Name || !isCanonical(c) {
			return false
		}
	}
	return n.Attr == canonicalDir
}

func canonical(name, inside string, n *tree.Node) (*tree.Node, error) {
	switch n.Kind() {
	case tree.File:
		return tree.NewFile(name, CanonicalAttr(tree.File, n.Attr.Mode), n.Blob()), nil
	case tree.Symlink:
		return tree.NewSymlink(name, canonicalSymlink, n.Target()), nil
	case tree.Dir:
		nodes := make([]*tree.Node, len(n.Children()))
		for i, c := range n.Children() {
			var err error
			if nodes[i], err = canonical(c.Name, inside+"/"+c.Name, c.Inode()); err != nil {
				return nil, err
			}
		}
		slices.SortFunc(nodes, func(a, b *tree.Node) int { return cmp.Compare(a.Name, b.Name) })
		return tree.NewDir(name, canonicalDir, nodes), nil
	}
	return nil, fmt.Errorf("%v at %q: a store item holds only files, directories and symlinks", n.Kind(), inside)
}
