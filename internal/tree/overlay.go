package tree

import (
	"slices"
	"strings"
)

// Behind returns where Overlay adds a clean path: without symlinks above its last element, as far as they lead to something.
func (b *Builder) Behind(path string) string {
	for cut := strings.LastIndexByte(path, '/'); cut > 0; cut = strings.LastIndexByte(path[:cut], '/') {
		if dir, real := b.Follow(path[:cut]); dir != nil {
			return Join(real, path[cut+1:])
		}
	}
	return path
}

// replace puts n in the place of old in a directory. One of them is no directory.
func (a *addition) replace(path string, dir, old, n *Node) {
	if n.kind == Dir && old.kind == Symlink {
		if to, real := a.Follow(path); to != nil && to.kind == Dir {
			a.merge(real, to, n)
			return
		}
	}
	if old.kind == Dir && len(old.Children()) > 0 {
		a.conflict(path, old, "a directory that is not empty is there already")
		return
	}
	kids := dir.body.(*children).nodes
	kids[slices.Index(kids, old)] = n
	a.names(dir)[n.Name] = n
	a.stated[n] = a.origin
	if old.kind != Dir && old.kind != Link {
		a.replaced[old] = true
	}
}

// inherit puts replaced nodes in the place of their first hard links, so that the others stay valid.
func (b *Builder) inherit(dir *Node) {
	for i, n := range dir.Children() {
		if n.kind == Dir {
			b.inherit(n)
		}
		if old := n.Inode(); n.kind == Link && b.replaced[old] {
			delete(b.replaced, old)
			old.Name = n.Name
			dir.Children()[i] = old
		}
	}
}
