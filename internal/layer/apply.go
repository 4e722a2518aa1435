package layer

import (
	"imprint/internal/tree"
)

// Put puts the layer on the tree so far; origin describes it for later conflicts. Entries replace what is at their paths, except that directories are merged.
// Parents that the layer does not have itself are followed through symlinks, within the tree. Nothing of the layer is changed, so that it can be put on
// many trees.
//
// Errors are conflicts: an entry whose parent is no directory.
func (l *Layer) Put(b *tree.Builder, origin string) error {
	p := &placing{Builder: b, dirs: map[string]string{}}
	real := make([]string, len(l.entries))
	for i, e := range l.entries {
		real[i] = p.place(e)
	}
	b.Remove(p.gone)
	copies := make(map[*tree.Node]*tree.Node, len(l.entries))
	for i, e := range l.entries {
		if e.Node == nil {
			continue
		}
		n := tree.NewLink("", copies[e.Node.Inode()])
		if e.Node.Kind() != tree.Link {
			n = fresh(e.Node)
			copies[e.Node] = n
		}
		if err := b.Add(real[i], n, origin); err != nil {
			return err
		}
	}
	return nil
}

// A placing finds where entries belong in a tree, before anything of it is changed.
type placing struct {
	*tree.Builder
	dirs map[string]string // where the directories of the layer, and parents that it does not have, are in the tree
	gone []string          // paths in the tree that are removed first
}

// place returns where an entry belongs. What it replaces is added to gone.
func (p *placing) place(e Entry) string {
	if e.Path == "/" {
		p.dirs["/"] = "/"
		p.old("/", e)
		return "/"
	}
	real := tree.Join(p.dir(dirOf(e.Path)), nameOf(e.Path))
	if e.Node != nil && e.Node.Kind() == tree.Dir {
		p.dirs[e.Path] = real
	}
	p.old(real, e)
	return real
}

// old adds what an entry replaces.
func (p *placing) old(real string, e Entry) {
	n := p.Find(real)
	switch {
	case n == nil:
	case e.Node == nil || e.Node.Kind() != tree.Dir || n.Kind() != tree.Dir:
		p.gone = append(p.gone, real)
	case e.Opaque:
		for _, c := range n.Children() {
			p.gone = append(p.gone, tree.Join(real, c.Name))
		}
	}
}

// dir returns where a directory is that entries of the layer are in.
func (p *placing) dir(path string) string {
	if path == "/" {
		return "/"
	}
	if real, known := p.dirs[path]; known {
		return real
	}
	real := tree.Join(p.dir(dirOf(path)), nameOf(path))
	if n := p.Find(real); n != nil && n.Kind() == tree.Symlink {
		if to, at := p.Follow(real); to != nil && to.Kind() == tree.Dir {
			real = at
		}
	}
	p.dirs[path] = real
	return real
}

// Tree returns the tree of layers that lie on one another, the lowest first. The top, and parents that no layer has, have the given attributes.
func Tree(layers []*Layer, implied *tree.Attr) (*tree.Tree, error) {
	b := tree.NewBuilder(implied)
	for _, l := range layers {
		if err := l.Put(b, ""); err != nil {
			return nil, err
		}
	}
	return b.Tree()
}

// Replaced returns the paths of symlinks in a tree for which the layer has directories, which then take their places: with a base whose /lib leads to
// usr/lib this is seldom meant. find returns the node at a path, or nil.
func (l *Layer) Replaced(find func(path string) *tree.Node) (links []tree.Walked) {
	for _, e := range l.entries {
		if e.Node == nil || e.Node.Kind() != tree.Dir {
			continue
		}
		if n := find(e.Path); n != nil && n.Kind() == tree.Symlink {
			links = append(links, tree.Walked{Path: e.Path, Node: n})
		}
	}
	return links
}
