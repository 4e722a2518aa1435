package tree

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// A Tree is a finished file tree, which is immutable: every directory is sorted by the bytes of the names, and has no name twice.
type Tree struct {
	nodes []*Node // in the order of Walk
}

// Root returns the directory at the top.
func (t *Tree) Root() *Node { return t.nodes[0] }

// Len returns the number of nodes, including the root.
func (t *Tree) Len() int { return len(t.nodes) }

// Node returns the node with an ID.
func (t *Tree) Node(id int) *Node { return t.nodes[id] }

// Nodes yields every node: parents before children, names in byte order, everything in a directory before the next name. A NAR has the
// same order.
func (t *Tree) Nodes() iter.Seq[*Node] { return slices.Values(t.nodes) }

// Walk yields every node with its path from the root, "/" for the root itself, in the order of Nodes.
func (t *Tree) Walk() iter.Seq2[string, *Node] { return Walk("/", t.Root()) }

// Walk yields n and everything below it with their paths, given that of n.
func Walk(path string, n *Node) iter.Seq2[string, *Node] {
	return func(yield func(string, *Node) bool) { walk(path, n, yield) }
}

func walk(path string, n *Node, yield func(string, *Node) bool) bool {
	if !yield(path, n) {
		return false
	}
	for _, c := range n.Children() {
		if !walk(Join(path, c.Name), c, yield) {
			return false
		}
	}
	return true
}

// Join returns the path of a name in a directory.
func Join(dir, name string) string { return strings.TrimSuffix(dir, "/") + "/" + name }

// Find returns the node at an absolute path, or nil. Symlinks are not followed.
func (t *Tree) Find(path string) *Node {
	n := t.Root()
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			continue
		}
		if n = n.Child(name); n == nil {
			return nil
		}
	}
	return n
}

// Child returns the node with a name in a directory whose children are sorted, or nil.
func (n *Node) Child(name string) *Node {
	kids := n.Children()
	i, ok := slices.BinarySearchFunc(kids, name, func(n *Node, s string) int { return cmp.Compare(n.Name, s) })
	if !ok {
		return nil
	}
	return kids[i]
}

// CheckName returns an error for a name that no file in a Linux directory can have.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("empty name")
	case name == "." || name == "..":
		return fmt.Errorf("name %q, which no file can have", name)
	case len(name) > 255:
		return fmt.Errorf("name of %d bytes, 255 are allowed: %.40q…", len(name), name)
	case strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("name %q holds a slash or a NUL", name)
	}
	return nil
}

// seal sorts every directory below root and numbers the nodes.
func seal(root *Node) (*Tree, error) {
	t := &Tree{}
	if err := t.seal(root); err != nil {
		return nil, fmt.Errorf("%s%v", Shown(strings.TrimSuffix(err.dir(), "/")), err.problem)
	}
	for _, n := range t.nodes {
		if k := n.Inode().kind; n.kind == Link && (k == Dir || k == Link) {
			return nil, fmt.Errorf("%q is a hard link to a %v", n.Name, k)
		}
		if first := n.Inode(); int(first.id) >= len(t.nodes) || t.nodes[first.id] != first {
			return nil, fmt.Errorf("%q is a hard link to a %v that is not in the tree", n.Name, first.kind)
		}
	}
	return t, nil
}

// seal sorts a directory and those below it, and numbers the nodes. The sort is stable, so that of two equal names the same one is reported
// every time; most directories are read in order, and are not sorted again.
func (t *Tree) seal(n *Node) *badName {
	n.id = int32(len(t.nodes))
	t.nodes = append(t.nodes, n)
	kids := n.Children()
	byName := func(a, b *Node) int { return cmp.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(kids, byName) {
		slices.SortStableFunc(kids, byName)
	}
	for i, c := range kids {
		if err := CheckName(c.Name); err != nil {
			return &badName{problem: ": " + err.Error()}
		}
		if i > 0 && kids[i-1].Name == c.Name {
			return &badName{problem: "/" + Shown(c.Name) + " is there twice"}
		}
		if err := t.seal(c); err != nil {
			err.above = append(err.above, c.Name)
			return err
		}
	}
	return nil
}

// A badName is an invalid or duplicate name. Its path is collected on the way back up, so that a good tree needs no paths.
type badName struct {
	above   []string // the directories that it is in, the innermost first
	problem string
}

func (b *badName) dir() string {
	slices.Reverse(b.above)
	return "/" + strings.Join(b.above, "/")
}

// A Walked is a node with its path, as Walk yields them.
type Walked struct {
	Path string
	Node *Node
}
