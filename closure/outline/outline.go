// Package outline keeps what store items consist of besides the contents of their files: names, kinds, sizes, targets of symlinks, and which
// files are one inode. With it an item that is known by its NAR hash need not be walked again.
//
//	ITEM = NODE
//	NODE = 0 N, then N times NAME NODE | 1 SIZE | 2 SIZE | 3 TARGET | 4 INDEX
//
// The first byte of a node is its kind: a directory with N names in order, a file, a program, a symlink, or another name of the file with an
// index among those before it. Numbers are those of [binary.AppendUvarint], and NAME and TARGET are a number of bytes and these.
package outline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

const (
	isDir byte = iota
	isFile
	isProgram
	isSymlink
	isLink
)

// Append appends the outline of an item to b. The error reports what no item has: other kinds of files, and links to files that do not come
// before them.
func Append(b []byte, item *tree.Node) ([]byte, error) {
	w := &writer{text: b, files: map[*tree.Node]uint64{}}
	err := w.node(item)
	return w.text, err
}

// A writer appends the outline of an item.
type writer struct {
	text  []byte
	files map[*tree.Node]uint64 // the index of each
}

func (w *writer) node(n *tree.Node) error {
	switch n.Kind() {
	case tree.Dir:
		w.put(isDir, uint64(len(n.Children())))
		for _, c := range n.Children() {
			w.string(c.Name)
			if err := w.node(c); err != nil {
				return err
			}
		}
	case tree.File:
		kind := isFile
		if n.Attr.Mode&0o100 != 0 {
			kind = isProgram
		}
		w.put(kind, uint64(n.Size()))
		w.files[n] = uint64(len(w.files))
	case tree.Symlink:
		w.text = append(w.text, isSymlink)
		w.string(n.Target())
	case tree.Link:
		index, before := w.files[n.Inode()]
		if !before {
			return fmt.Errorf("%q is a hard link to a file that does not come before it", n.Name)
		}
		w.put(isLink, index)
	default:
		return fmt.Errorf("%q is a %v", n.Name, n.Kind())
	}
	return nil
}

func (w *writer) put(kind byte, n uint64) {
	w.text = binary.AppendUvarint(append(w.text, kind), n)
}

func (w *writer) string(s string) {
	w.text = append(binary.AppendUvarint(w.text, uint64(len(s))), s...)
}

// An AttrFunc returns the attributes of a node of an item; of the mode, only the owner's execute bit of a file matters.
type AttrFunc func(kind tree.Kind, mode uint16) *tree.Attr

// Tree returns the item at a path of the host, given its outline: a node named by the last element of the path. Nothing is read.
func Tree(text, path string, attr AttrFunc) (*tree.Node, error) {
	dir, name := path[:strings.LastIndexByte(path, '/')+1], path[strings.LastIndexByte(path, '/')+1:]
	r := &reader{text: text, attr: attr}
	n, err := r.node(hosttree.At(dir), name, 0)
	if err == nil && r.text != "" {
		err = errForm
	}
	return n, err
}

var errForm = errors.New("is no outline of a store item")

// Bounds of what is read: those of the file systems of Linux for directories in each other and sizes.
const (
	mostDeep  = 4096
	mostBytes = 1 << 56
)

// A reader reads the outline of an item.
type reader struct {
	text  string // what follows
	attr  AttrFunc
	files []*tree.Node
}

func (r *reader) node(in hosttree.Place, name string, depth int) (*tree.Node, error) {
	if r.text == "" {
		return nil, errForm
	}
	kind := r.text[0]
	r.text = r.text[1:]
	n, err := r.number()
	if err != nil {
		return nil, err
	}
	switch {
	case kind == isDir && depth < mostDeep:
		nodes, err := r.dir(in.Below(name), n, depth)
		return tree.NewDir(name, r.attr(tree.Dir, 0), nodes), err
	case (kind == isFile || kind == isProgram) && n <= mostBytes:
		return r.file(in, kind, name, int64(n)), nil
	case kind == isSymlink:
		target, err := r.bytes(n)
		return tree.NewSymlink(name, r.attr(tree.Symlink, 0), target), err
	case kind == isLink && n < uint64(len(r.files)):
		return tree.NewLink(name, r.files[n]), nil
	}
	return nil, errForm
}

func (r *reader) file(in hosttree.Place, kind byte, name string, size int64) *tree.Node {
	mode := uint16(0o444)
	if kind == isProgram {
		mode = 0o555
	}
	f := tree.NewFile(name, r.attr(tree.File, mode), in.File(name, size))
	r.files = append(r.files, f)
	return f
}

// dir reads n names with their nodes. Each takes three bytes or more, which bounds what is allocated for them.
func (r *reader) dir(in hosttree.Place, n uint64, depth int) ([]*tree.Node, error) {
	if n > uint64(len(r.text)/3) {
		return nil, errForm
	}
	nodes := make([]*tree.Node, n)
	for i := range nodes {
		name, err := r.string()
		if err != nil {
			return nil, err
		}
		if err := tree.CheckName(name); err != nil {
			return nil, err
		}
		if i > 0 && name <= nodes[i-1].Name {
			return nil, errForm
		}
		if nodes[i], err = r.node(in, name, depth+1); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

func (r *reader) number() (n uint64, err error) {
	for shift := 0; shift < 64 && shift/7 < len(r.text); shift += 7 {
		c := r.text[shift/7]
		if shift == 63 && c > 1 {
			break // over 64 bits
		}
		if n |= uint64(c&0x7f) << shift; c < 0x80 {
			r.text = r.text[shift/7+1:]
			return n, nil
		}
	}
	return 0, errForm
}

func (r *reader) bytes(n uint64) (s string, err error) {
	if n > uint64(len(r.text)) {
		return "", errForm
	}
	s, r.text = r.text[:n], r.text[n:]
	return s, nil
}

func (r *reader) string() (string, error) {
	n, err := r.number()
	if err != nil {
		return "", err
	}
	return r.bytes(n)
}
