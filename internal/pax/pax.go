// Package pax lays out trees as tar archives in the pax format: every offset is known before a byte is written, so that contents can be
// written in any order, and to other places from the same read. Owners, modes, times to the nanosecond, hard links, devices, extended
// attributes, access control lists and names of any length are kept, and holes if that is asked for.
//
// The bytes depend on the tree alone. GNU tar, libarchive and package archive/tar read them.
package pax

import (
	"fmt"
	"iter"
	"sort"
	"strings"

	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// endSize is the length in bytes of the zeros that end an archive.
const endSize = 2 * blockSize

// Options select what an archive holds.
type Options struct {
	Sparse bool // omit the holes of files, which not every reader understands
	Bare   bool // names do not begin with "./"; that of the root, which is ".", must be in no part then
	// Parts divides the nodes into several archives, which lie one after the other: IDs of nodes in ascending order, each in at most one part. In each, the
	// first name of a file has its content. Without, there is one archive of all nodes.
	Parts [][]Span
	Align int64 // alignment of each part in bytes
}

// A Span is the nodes with IDs from First up to, but not including, End.
type Span struct{ First, End int }

// A Part is where one archive lies.
type Part struct{ Off, Size int64 } // bytes

// A Layout is archives of the nodes of a tree, with the offset of everything in them. It implements [extent.Source].
type Layout struct {
	tree   *tree.Tree
	sparse bool
	bare   bool
	parts  []Part
	order  []int32                // IDs of nodes in the order in which they are stored
	starts []int64                // where each of order begins
	heads  []int32                // the bytes of its headers
	at     []int32                // by ID: index in order
	parent []int32                // by ID
	first  []int32                // by ID: the node in the same part whose entry has the content, which may be the node itself
	names  map[*tree.Node][]int32 // all IDs of files that have several names
	size   int64
}

// New lays out archives of a tree. The error names a node that an archive cannot hold: a socket.
func New(t *tree.Tree, o Options) (*Layout, error) {
	l := &Layout{tree: t, sparse: o.Sparse, bare: o.Bare, at: make([]int32, t.Len()), parent: make([]int32, t.Len()), first: make([]int32, t.Len()), names: map[*tree.Node][]int32{}}
	if o.Parts == nil {
		o.Parts = [][]Span{{{0, t.Len()}}}
	}
	for n := range t.Nodes() {
		if types[n.Inode().Kind()] == 0 {
			return nil, fmt.Errorf("%s is a %v, which an archive cannot hold", tree.Shown(l.path(n.ID())), n.Inode().Kind())
		}
		for _, c := range n.Children() {
			l.parent[c.ID()] = int32(n.ID())
		}
		if n.Kind() == tree.Link {
			l.names[n.Inode()] = nil
		}
	}
	for _, spans := range o.Parts {
		l.add(spans, max(o.Align, blockSize))
	}
	return l, nil
}

// add lays out a part.
func (l *Layout) add(spans []Span, align int64) {
	off := units.Align(l.size, align)
	l.size = off
	first := map[*tree.Node]int32{} // of files with several names
	var buf []byte
	for _, s := range spans {
		for id := s.First; id < s.End; id++ {
			l.first[id] = l.firstName(first, id)
			l.at[id] = int32(len(l.order))
			l.order, l.starts = append(l.order, int32(id)), append(l.starts, l.size)
			e := l.entry(id)
			buf = e.appendTo(buf[:0])
			l.heads = append(l.heads, int32(len(buf)))
			l.size += int64(len(buf)) + units.Align(e.stored.size, blockSize) - units.Align(int64(len(e.stored.table)), blockSize)
		}
	}
	l.size += endSize
	l.parts = append(l.parts, Part{off, l.size - off})
}

// firstName returns the ID of the first name in the part of the file that a node names.
func (l *Layout) firstName(first map[*tree.Node]int32, id int) int32 {
	inode := l.tree.Node(id).Inode()
	names, several := l.names[inode]
	if !several {
		return int32(id)
	}
	l.names[inode] = append(names, int32(id))
	if _, known := first[inode]; !known {
		first[inode] = int32(id)
	}
	return first[inode]
}

// entry returns the entry of a node.
func (l *Layout) entry(id int) *entry {
	e := &entry{name: l.name(id), inode: l.tree.Node(id).Inode()}
	if first := int(l.first[id]); first != id {
		e.link = l.name(first)
	} else if e.inode.Kind() == tree.File {
		e.stored = storedOf(e.inode.Blob(), l.sparse)
	}
	return e
}

// name returns the name of a node in the archive: "./a/b" or "a/b", and with a slash at the end that of a directory.
func (l *Layout) name(id int) string {
	name := "." + strings.TrimSuffix(l.path(id), "/")
	if l.bare {
		name = strings.TrimPrefix(name, "./")
	}
	if l.tree.Node(id).Kind() == tree.Dir {
		name += "/"
	}
	return name
}

// path returns the path of a node in the tree.
func (l *Layout) path(id int) string {
	if id == 0 {
		return "/"
	}
	return tree.Join(l.path(int(l.parent[id])), l.tree.Node(id).Name)
}

// Size returns the length of all parts in bytes.
func (l *Layout) Size() int64 { return l.size }

// Parts returns where each part lies.
func (l *Layout) Parts() []Part { return l.parts }

// Grain returns the unit in bytes in which contents are stored; the rest of the last one is zeros.
func (l *Layout) Grain() int64 { return blockSize }

// Place appends the extents of the content of a file to list: in each part that has a name of it, in the order of the content.
func (l *Layout) Place(list []extent.Extent, n *tree.Node) []extent.Extent {
	inode := n.Inode()
	if inode.Kind() != tree.File {
		return list
	}
	names, several := l.names[inode]
	if !several {
		return l.place(list, inode.ID())
	}
	for _, id := range names {
		if l.first[id] == id {
			list = l.place(list, int(id))
		}
	}
	return list
}

// place appends the extents of the content of a node that has one.
func (l *Layout) place(list []extent.Extent, id int) []extent.Extent {
	e := l.entry(id)
	i := l.at[id]
	return e.stored.place(list, e.inode.Blob(), l.starts[i]+int64(l.heads[i]))
}

// Extents implements [extent.Source]: the headers, which are generated when they are read, and contents.
func (l *Layout) Extents(from int64) iter.Seq[extent.Extent] {
	next := max(0, sort.Search(len(l.starts), func(i int) bool { return l.starts[i] > from })-1)
	return func(yield func(extent.Extent) bool) {
		var list []extent.Extent
		for i, id := range l.order[next:] {
			head := int64(l.heads[next+i])
			list = append(list[:0], extent.Extent{Off: l.starts[next+i], Len: head, Blob: headers{l, id, head}, Meta: true})
			if n := l.tree.Node(int(id)); l.first[id] == id && n.Inode().Kind() == tree.File {
				list = l.place(list, int(id))
			}
			for _, x := range list {
				if x.End() > from && !yield(x) {
					return
				}
			}
		}
	}
}

// headers are the headers of one node as a blob.
type headers struct {
	layout *Layout
	id     int32
	size   int64
}

// Size implements tree.Blob.
func (h headers) Size() int64 { return h.size }

// Open implements tree.Blob.
func (h headers) Open() (tree.Reader, error) {
	return tree.Text(string(h.layout.entry(int(h.id)).appendTo(nil))).Open()
}
