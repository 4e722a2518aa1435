package tree

import (
	"slices"
	"strings"
)

// Replace returns a tree like t with other content in n, one of its files. The trees share all nodes that are not above n, and nodes have the same
// IDs in both; further names of the file keep the old content.
func (t *Tree) Replace(n *Node, content Blob) *Tree {
	r := &Tree{nodes: slices.Clone(t.nodes)}
	file := NewFile(n.Name, n.Attr, content)
	file.id = n.id
	r.nodes[0] = r.replace(t.Root(), n, file)
	return r
}

// replace copies the directories from dir down to the node old, which it replaces. IDs lead the way: those of nodes below a directory follow its
// own.
func (t *Tree) replace(dir, old, file *Node) *Node {
	if dir == old {
		t.nodes[file.id] = file
		return file
	}
	kids := slices.Clone(dir.Children())
	i, found := slices.BinarySearchFunc(kids, old.id, func(n *Node, id int32) int { return int(n.id) - int(id) })
	if !found {
		i-- // the last one that begins before it holds it
	}
	kids[i] = t.replace(kids[i], old, file)
	c := NewDir(dir.Name, dir.Attr, kids)
	c.id = dir.id
	t.nodes[c.id] = c
	return c
}

// Remove removes what is at clean paths, with everything below it, in time in proportion to the paths and the directories that they are in.
// Symlinks are not followed, and paths that lead to nothing make no difference; "/" is not removed. A hard link to what is removed keeps the content.
func (b *Builder) Remove(paths []string) {
	gone := map[*Node]map[*Node]bool{} // by directory
	for _, path := range paths {
		cut := strings.LastIndexByte(path, '/')
		dir := b.Find(path[:max(cut, 0)])
		if dir == nil || dir.kind != Dir || path == "/" {
			continue
		}
		if n := b.names(dir)[path[cut+1:]]; n != nil {
			if gone[dir] == nil {
				gone[dir] = map[*Node]bool{}
			}
			gone[dir][n] = true
		}
	}
	for dir, nodes := range gone {
		c := dir.body.(*children)
		c.nodes = slices.DeleteFunc(c.nodes, func(n *Node) bool { return nodes[n] })
		for n := range nodes {
			delete(b.names(dir), n.Name)
			b.forget(n)
		}
	}
}

// forget records that hard links may still lead to what was removed.
func (b *Builder) forget(n *Node) {
	switch n.kind {
	case Dir:
		for _, c := range n.Children() {
			b.forget(c)
		}
	case Link:
	default:
		b.replaced[n] = true
	}
}
