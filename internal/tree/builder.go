package tree

import (
	"fmt"
	"strings"
)

// A Builder collects nodes at paths and makes a tree of them. A directory that is added twice is merged; for anything else that is an error
// with both origins, or the later node replaces the earlier one.
type Builder struct {
	root     *Node
	implied  *Attr
	index    map[*Node]map[string]*Node // nodes by name, of directories to which nodes were added
	stated   map[*Node]string           // origin of added nodes, without implied parent directories
	replaced map[*Node]bool             // nodes that hard links may still lead to
}

// NewBuilder returns a Builder whose root, and every parent directory that is not added itself, has the given attributes.
func NewBuilder(implied *Attr) *Builder {
	return &Builder{
		root:     NewDir("", implied, nil),
		implied:  implied,
		index:    map[*Node]map[string]*Node{},
		stated:   map[*Node]string{},
		replaced: map[*Node]bool{},
	}
}

// Clean returns a path in the form "/a/b", without empty and "." elements. It is an error if the path has "..", a NUL or a name of more than
// 255 bytes.
func Clean(path string) (string, error) {
	var b strings.Builder
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." {
			continue
		}
		if err := CheckName(name); err != nil {
			return "", err
		}
		b.WriteString("/" + name)
	}
	if b.Len() == 0 {
		return "/", nil
	}
	return b.String(), nil
}

// Add puts n, with everything below it, at path, whose last element replaces n's name. At "/" a directory is merged into the root. origin
// describes where the node comes from, for the message of a [Conflict]. Paths that are taken are an error that is a [*Conflicts], of all that is in
// n; what else is in n is added. After the call the Builder may change the directories in n.
func (b *Builder) Add(path string, n *Node, origin string) error {
	return (&addition{Builder: b, origin: origin}).add(path, n)
}

// Overlay is Add for what replaces earlier nodes of other kinds than directories. Where a directory of n, or one above path, is a symlink to
// a directory in the tree so far, the symlink stays and is followed. Only a directory that something is in is not replaced: that is a
// [Conflict]. A hard link to what is replaced keeps the earlier content.
func (b *Builder) Overlay(path string, n *Node, origin string) error {
	return (&addition{Builder: b, origin: origin, overlay: true}).add(path, n)
}

// An addition is one call of Add or Overlay.
type addition struct {
	*Builder
	origin    string
	overlay   bool
	conflicts Conflicts
}

func (a *addition) add(path string, n *Node) error {
	path, err := Clean(path)
	if err != nil {
		return err
	}
	if path == "/" {
		a.merge("/", a.root, n)
		return a.conflicts.err()
	}
	if a.overlay {
		path = a.Behind(path)
	}
	if dir := a.parent(path); dir != nil {
		n.Name = path[strings.LastIndexByte(path, '/')+1:]
		a.put(path, dir, n)
	}
	return a.conflicts.err()
}

// parent returns the directory that path is in, making it and those above it as needed. It is nil after a conflict.
func (a *addition) parent(path string) *Node {
	dir, rest, at := a.root, path[1:], ""
	for {
		name, below, more := strings.Cut(rest, "/")
		if !more {
			return dir
		}
		at += "/" + name
		next := a.names(dir)[name]
		if next == nil {
			next = NewDir(name, a.implied, nil)
			a.attach(dir, next)
		}
		if next.kind != Dir {
			a.conflict(path, next, fmt.Sprintf("%s is a %v, not a directory", Shown(at), next.kind))
			return nil
		}
		dir, rest = next, below
	}
}

func (a *addition) put(path string, dir, n *Node) {
	old := a.names(dir)[n.Name]
	switch {
	case old == nil:
		a.attach(dir, n)
		a.stated[n] = a.origin
	case a.overlay && (old.kind != Dir || n.kind != Dir):
		a.replace(path, dir, old, n)
	default:
		a.merge(path, old, n)
	}
}

// merge adds the children of a directory to an existing one, which gets its attributes.
func (a *addition) merge(path string, old, n *Node) {
	if old.kind != Dir || n.kind != Dir {
		a.conflict(path, old, fmt.Sprintf("a %v is there already", old.kind))
		return
	}
	if n.Attr != nil {
		old.Attr = n.Attr
		a.stated[old] = a.origin
	}
	for _, c := range n.Children() {
		a.put(Join(path, c.Name), old, c)
	}
}

// names returns the index of a directory, which is made when the first node is added to it.
func (b *Builder) names(dir *Node) map[string]*Node {
	m := b.index[dir]
	if m == nil {
		m = make(map[string]*Node, len(dir.Children()))
		for _, c := range dir.Children() {
			m[c.Name] = c
		}
		b.index[dir] = m
	}
	return m
}

func (b *Builder) attach(dir, n *Node) {
	b.names(dir)[n.Name] = n
	c := dir.body.(*children)
	c.nodes = append(c.nodes, n)
}

// Tree returns the finished tree. The Builder must not be used afterwards. Errors name duplicate and invalid names, and links whose target
// is not in the tree.
func (b *Builder) Tree() (*Tree, error) {
	if len(b.replaced) > 0 {
		b.inherit(b.root)
	}
	return seal(b.root)
}
