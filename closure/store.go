// Package closure reads stores of Nix and of Guix, and lays out the store inside an image: store items, their references, their registration as valid,
// and the GC roots that protect them in the booted system.
package closure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"imprint/closure/nar"
	"imprint/internal/repro"
	"imprint/internal/tree"
)

// A Store is a source of store items. Its methods are safe for concurrent use.
type Store interface {
	// Info returns the registration of an item. The error wraps [ErrNotFound] if the path is not valid in this store.
	Info(ctx context.Context, p Path) (*Info, error)
	// Item returns the content of a valid item in canonical form, named by the path's Base: see [Canonical].
	Item(ctx context.Context, p Path) (*tree.Node, error)
}

// ErrNotFound is matched by the errors of a [Store] that does not have an item.
var ErrNotFound = errors.New("not valid in this store")

// A ReadFunc reads the file, symlink or directory at a path of the host, with everything below it. A symlink at the path is not followed.
type ReadFunc func(hostPath string) (*tree.Node, error)

// The attributes of everything in a store item (canonicalisePathMetaData in Nix's local-store.cc): owned by root, read-only, last changed
// in the first second of 1970, without extended attributes.
var (
	// Programs have the mode of directories, so one Attr serves both.
	canonicalDir     = &tree.Attr{Mode: 0o555, Mtime: tree.Time{Sec: repro.StoreEpoch}}
	canonicalProgram = canonicalDir
	canonicalFile    = &tree.Attr{Mode: 0o444, Mtime: tree.Time{Sec: repro.StoreEpoch}}
	canonicalSymlink = &tree.Attr{Mode: 0o777, Mtime: tree.Time{Sec: repro.StoreEpoch}}
)

// CanonicalAttr returns the attributes of a node in a store item; of mode, only the owner's execute bit of a file matters.
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

// Canonical returns the result of a [ReadFunc] with the attributes of a store item, whatever the host's are: a new node, unless it has them
// already. Hard links become separate files, since they too are the host's: Unify and [Optimise] link files by their content. Anything but
// files, directories and symlinks is an error with its path inside the item.
func Canonical(name string, n *tree.Node) (*tree.Node, error) {
	if isCanonical(n) {
		n.Name = name
		return n, nil
	}
	return canonical(name, "", n.Inode())
}

// isCanonical reports whether Canonical would return a node unchanged.
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

// canonical is Canonical for a node at the path inside its item.
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
	return nil, fmt.Errorf("%v at %q: a store item can only have files, directories and symlinks", n.Kind(), inside)
}

// Info is the registration of an item in a store.
type Info struct {
	Path       Path
	NARHash    nar.Digest // SHA-256 of the item's NAR
	NARSize    int64      // length of the NAR in bytes
	References []Path     // sorted, each once; the item itself is among them if it refers to itself
	Deriver    string     // store path of the derivation that built it, which need not be valid; "" if unknown
	CA         string     // content address, such as "fixed:r:sha256:…" in base32; "" for none
	Sigs       []string   // each as "key:base64"
	Outputs    []Output   // of a derivation: what it builds, sorted by ID
}

// An Output is one output of a derivation. It need not be valid.
type Output struct {
	ID   string // "out", "dev"…
	Path Path
}
