package tree

import "slices"

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
