package layer

import "imprint/internal/tree"

// Settings say what files that a program has written on the host do not. Extended attributes that were there are kept if a file has none.
type Settings struct {
	Mtime  tree.Time // of everything that is new or has changed
	Owners bool      // the nodes have their owners; without it what was there keeps its owner, and what is new is root's
}

// Over returns the layer without what makes no difference to the tree below it, such as directories that were only copied to change something in
// them, with attributes by the settings. Its files must have pins. Whoever reads the changes of overlayfs from the host calls it, so that
// equal changes are equal layers.
func (l *Layer) Over(lower *tree.Tree, s Settings) (*Layer, error) {
	hidden := map[string]bool{} // directories in which nothing of the tree below is left
	settled := map[*tree.Node]*tree.Node{}
	kept, linked := make([]Entry, 0, len(l.entries)), l.linked()
	for _, e := range l.entries {
		old := lower.Find(e.Path)
		if hidden[dirOf(e.Path)] {
			old = nil
		}
		if old == nil || e.Opaque || e.Node == nil || old.Inode().Kind() != e.Node.Inode().Kind() {
			hidden[e.Path] = true
		}
		switch {
		case e.Node == nil && old == nil:
			continue
		case e.Node == nil:
		case e.Node.Kind() == tree.Link:
			e.Node = tree.NewLink("", settled[e.Node.Inode()])
		default:
			n := s.settle(e.Node, old)
			settled[e.Node] = n
			if old != nil && !e.Opaque && Equal(old, n) && !linked[e.Node] {
				continue
			}
			e.Node = n
		}
		kept = append(kept, e)
	}
	return New(kept)
}

// linked returns the files that have further names in the layer.
func (l *Layer) linked() map[*tree.Node]bool {
	linked := map[*tree.Node]bool{}
	for _, e := range l.entries {
		if e.Node != nil && e.Node.Kind() == tree.Link {
			linked[e.Node.Inode()] = true
		}
	}
	return linked
}

// settle returns the node with its attributes. If nothing but the time differs from what was there, the time is the old one.
func (s Settings) settle(n, old *tree.Node) *tree.Node {
	a := *n.Attr
	a.Mtime = s.Mtime
	if !s.Owners {
		a.UID, a.GID = 0, 0
		if old != nil && old.Inode().Kind() == n.Kind() {
			a.UID, a.GID = old.Inode().Attr.UID, old.Inode().Attr.GID
		}
	}
	if old != nil && old.Inode().Kind() == n.Kind() && len(a.Xattrs) == 0 {
		a.Xattrs = old.Inode().Attr.Xattrs
	}
	c := fresh(n)
	c.Attr = &a
	if old == nil || old.Inode().Kind() != n.Kind() {
		return c
	}
	same := a
	same.Mtime = old.Inode().Attr.Mtime
	timed := fresh(c)
	if timed.Attr = &same; Equal(old, timed) {
		return timed
	}
	return c
}
