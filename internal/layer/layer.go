// Package layer is a layer of a file tree as a value: files with all their attributes, and what is gone of the layers below. It has a canonical text,
// whose digest identifies it, and is put on a tree of package tree.
//
// The words are those of the OCI image specification, layer.md: a whiteout hides a path of lower layers, an opaque directory all that they
// have in it. What a layer has at a path replaces what lower layers have there; only directories are merged.
package layer

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"imprint/internal/tree"
)

// A Layer is a list of changes to a tree. It is not changed.
type Layer struct {
	entries []Entry // in the order of a walk of a tree
}

// An Entry is a change of a layer.
type Entry struct {
	Path   string     // absolute and clean, as [tree.Clean] returns it
	Node   *tree.Node // without children; nil for a whiteout
	Opaque bool       // of a directory: what lower layers have in it is gone
}

// New returns the layer with the given entries, in any order. Parents may be missing: then lower layers have them. The nodes are copied; a hard link
// leads to the node of another entry.
//
// Errors name the paths of entries that no layer can have: one that is there twice, or below what is no directory.
func New(entries []Entry) (*Layer, error) {
	l := &Layer{slices.Clone(entries)}
	slices.SortStableFunc(l.entries, func(a, b Entry) int { return compare(a.Path, b.Path) })
	kinds := map[string]bool{} // whether an entry is a directory, by path
	for i, e := range l.entries {
		if i > 0 && l.entries[i-1].Path == e.Path {
			return nil, fmt.Errorf("%s is there twice", tree.Shown(e.Path))
		}
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", tree.Shown(e.Path), err)
		}
		kinds[e.Path] = e.Node != nil && e.Node.Kind() == tree.Dir
		if above, found := l.above(kinds, e.Path); found {
			return nil, fmt.Errorf("%s is below %s, which is no directory", tree.Shown(e.Path), tree.Shown(above))
		}
	}
	return l, l.link()
}

// above returns the entry above a path that is no directory. The walk ends at the nearest entry: those above that one were checked with it.
func (l *Layer) above(kinds map[string]bool, path string) (string, bool) {
	for path != "/" {
		path = dirOf(path)
		if isDir, known := kinds[path]; known {
			return path, !isDir
		}
	}
	return "", false
}

func dirOf(path string) string { return cmp.Or(path[:strings.LastIndexByte(path, '/')], "/") }

func nameOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// maxPath is the longest path in bytes that a system call takes: PATH_MAX of linux/limits.h without the NUL.
const maxPath = 4095

func (e Entry) check() error {
	if clean, err := tree.Clean(e.Path); err != nil || clean != e.Path {
		return errors.Join(errors.New("is not the path of an entry"), err)
	}
	switch {
	case len(e.Path) > maxPath:
		return fmt.Errorf("has %d bytes, a path has at most %d", len(e.Path), maxPath)
	case e.Node == nil && e.Path == "/":
		return errors.New("the top cannot be removed")
	case e.Node == nil && e.Opaque:
		return errors.New("is opaque and gone")
	case e.Node == nil:
		return nil
	case e.Opaque && e.Node.Kind() != tree.Dir:
		return fmt.Errorf("is an opaque %v", e.Node.Kind())
	case e.Path == "/" && e.Node.Kind() != tree.Dir:
		return fmt.Errorf("is a %v", e.Node.Kind())
	case e.Node.Kind() == tree.Link:
		return nil
	}
	return e.Node.Attr.Check()
}

// link copies the nodes. Of the names of one file the first becomes the file, and the others links to it.
func (l *Layer) link() error {
	first, known := map[*tree.Node]*tree.Node{}, map[*tree.Node]bool{}
	for _, e := range l.entries {
		if e.Node != nil {
			known[e.Node] = true
		}
	}
	for i := range l.entries {
		e := &l.entries[i]
		if e.Node == nil {
			continue
		}
		inode := e.Node.Inode()
		switch {
		case !known[inode] || inode.Kind() == tree.Dir && e.Node != inode || inode.Kind() == tree.Link:
			return fmt.Errorf("%s is a hard link to what is no file of the layer", tree.Shown(e.Path))
		case first[inode] != nil:
			e.Node = tree.NewLink("", first[inode])
		default:
			e.Node = fresh(inode)
			first[inode] = e.Node
		}
	}
	return nil
}

// fresh returns a copy of a node that is no link, without children.
func fresh(n *tree.Node) *tree.Node {
	c := n.Copy()
	if c.Kind() == tree.File {
		c.SetBlob(withoutHoles(n.Blob()))
	}
	return c
}

// withoutHoles hides which holes an archive records: those of a pinned content depend on nothing but its bytes.
func withoutHoles(b tree.Blob) tree.Blob {
	if _, pinned := tree.PinOf(b); pinned {
		return b
	}
	if _, sparse := b.(tree.SparseBlob); sparse {
		return dense{b}
	}
	return b
}

// A dense blob is one whose holes are not known.
type dense struct{ tree.Blob }

// Within implements tree.PartBlob.
func (d dense) Within() (tree.Blob, int64) { return d.Blob, 0 }

// compare orders paths as a walk does: a directory before all that is in it, and that before the next name.
func compare(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return cmp.Compare(rank(a[i]), rank(b[i]))
		}
	}
	return cmp.Compare(len(a), len(b))
}

// rank puts the slash before all other bytes, of which no name has the first.
func rank(c byte) byte {
	if c == '/' {
		return 0
	}
	return c
}

// Entries returns the entries in the order of a walk. Neither they nor their nodes may be changed, apart from the contents of files: see [Layer.Files].
func (l *Layer) Entries() []Entry { return l.entries }

// Files returns the nodes with contents and the paths of their first names. Before the layer is used, their blobs may be replaced by
// others of the same content.
func (l *Layer) Files() (list []tree.Walked) {
	for _, e := range l.entries {
		if e.Node != nil && e.Node.Kind() == tree.File {
			list = append(list, tree.Walked{Path: e.Path, Node: e.Node})
		}
	}
	return list
}

// Size returns the sum of the sizes of all files in bytes.
func (l *Layer) Size() (sum int64) {
	for _, f := range l.Files() {
		sum += f.Node.Size()
	}
	return sum
}

// Contents returns the pins of all contents with their sizes in bytes, each as often as there are files with it.
func (l *Layer) Contents() iter.Seq2[tree.Pin, int64] {
	return func(yield func(tree.Pin, int64) bool) {
		for _, f := range l.Files() {
			if pin, ok := tree.PinOf(f.Node.Blob()); ok && !yield(pin, f.Node.Size()) {
				return
			}
		}
	}
}
