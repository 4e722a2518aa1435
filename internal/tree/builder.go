package tree

import (
	"fmt"
	"strings"
)

// A Builder collects nodes at paths and makes a tree of them. A directory that is added twice is merged; for anything else that is an error
// with both origins.
type Builder struct {
	root    *Node
	implied *Attr
	index   map[*Node]map[string]*Node // nodes by name, of directories to which nodes were added
	stated  map[*Node]string           // origin of added nodes, without implied parent directories
}

// NewBuilder returns a Builder whose root, and every parent directory that is not added itself, has the given attributes.
func NewBuilder(implied *Attr) *Builder {
	return &Builder{
		root:    NewDir("", implied, nil),
		implied: implied,
		index:   map[*Node]map[string]*Node{},
		stated:  map[*Node]string{},
	}
}

// A Conflict reports a path that was added twice, not both times as a directory, or that is below a node other than a directory.
type Conflict struct {
	Path          string
	First, Second string // origins, as passed to Add
	Reason        string
}

// Error implements error.
func (c *Conflict) Error() string {
	s := Shown(c.Path) + ": " + c.Reason
	if c.First != "" {
		s += " (" + c.First + ")"
	}
	return s
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
// describes where the node comes from, for the message of a [Conflict], the error about a path that is taken. After the call the Builder may
// change the directories in n.
func (b *Builder) Add(path string, n *Node, origin string) error {
	path, err := Clean(path)
	if err != nil {
		return err
	}
	if path == "/" {
		return b.merge("/", b.root, n, origin)
	}
	dir, err := b.parent(path, origin)
	if err != nil {
		return err
	}
	n.Name = path[strings.LastIndexByte(path, '/')+1:]
	return b.put(path, dir, n, origin)
}

// parent returns the directory that path is in, which it makes if needed, with those above it.
func (b *Builder) parent(path, origin string) (*Node, error) {
	dir, rest, at := b.root, path[1:], ""
	for {
		name, below, more := strings.Cut(rest, "/")
		if !more {
			return dir, nil
		}
		at += "/" + name
		next := b.names(dir)[name]
		if next == nil {
			next = NewDir(name, b.implied, nil)
			b.attach(dir, next)
		}
		if next.kind != Dir {
			return nil, &Conflict{path, b.stated[next], origin, fmt.Sprintf("%s is a %v, not a directory", Shown(at), next.kind)}
		}
		dir, rest = next, below
	}
}

func (b *Builder) put(path string, dir, n *Node, origin string) error {
	old := b.names(dir)[n.Name]
	if old != nil {
		return b.merge(path, old, n, origin)
	}
	b.attach(dir, n)
	b.stated[n] = origin
	return nil
}

// merge adds the children of a directory to an existing one, which gets its attributes.
func (b *Builder) merge(path string, old, n *Node, origin string) error {
	if old.kind != Dir || n.kind != Dir {
		return &Conflict{path, b.stated[old], origin, fmt.Sprintf("a %v is there already", old.kind)}
	}
	if n.Attr != nil {
		old.Attr = n.Attr
		b.stated[old] = origin
	}
	for _, c := range n.Children() {
		if err := b.put(Join(path, c.Name), old, c, origin); err != nil {
			return err
		}
	}
	return nil
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

// Find returns the node at a path so far, or nil. Symlinks are not followed.
func (b *Builder) Find(path string) *Node {
	n := b.root
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			continue
		}
		if n.kind != Dir {
			return nil
		}
		if n = b.names(n)[name]; n == nil {
			return nil
		}
	}
	return n
}

// Tree returns the finished tree. The Builder must not be used afterwards. Errors name duplicate and invalid names, and links whose target
// is not in the tree.
func (b *Builder) Tree() (*Tree, error) { return seal(b.root) }
