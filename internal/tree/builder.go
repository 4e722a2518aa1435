package tree

import (
	"fmt"
	"strings"
)

// A Builder collects nodes at paths and makes them one tree. Directories may be stated several times and are merged; anything else
// stated twice is an error that names both origins.
type Builder struct {
	root    *Node
	implied *Attr
	index   map[*Node]map[string]*Node // the names in directories that were added to
	stated  map[*Node]string           // origin of what was added; a directory that is only a parent of it is not in here
}

// NewBuilder starts a tree whose root, and every parent directory that nobody states, has the given attributes.
func NewBuilder(implied *Attr) *Builder {
	return &Builder{
		root:    NewDir("", implied, nil),
		implied: implied,
		index:   map[*Node]map[string]*Node{},
		stated:  map[*Node]string{},
	}
}

// A Conflict is a path that two origins claim with something else than directories, or one below something that is no directory.
type Conflict struct {
	Path          string
	First, Second string // origins, as they were given to Add
	Reason        string
}

// Error implements error.
func (c *Conflict) Error() string {
	s := c.Path + ": " + c.Reason
	if c.First != "" {
		s += " (" + c.First + ")"
	}
	return s
}

// Clean makes a path absolute and plain: "/a/b". A path that holds "..", a NUL or a name over 255 bytes is refused.
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

// Add puts n, with all below it, at path; n's own name is replaced by the path's last one. At "/" a directory is merged into the
// root. origin says where the node comes from, for the message of a Conflict. The
// builder may change the directories in n from then on.
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

// parent returns the directory above path and makes the missing ones.
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
			return nil, &Conflict{path, b.stated[next], origin, fmt.Sprintf("%s is a %v, not a directory", at, next.kind)}
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

// merge joins a directory with one that is there already. What is stated later has the say over the attributes.
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

// names is the index of a directory, made when it is first added to.
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

// Find returns what stands at a path so far, or nil. Symlinks are not followed.
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

// Tree sorts everything and ends the building.
func (b *Builder) Tree() (*Tree, error) { return seal(b.root) }
