package tree

import (
	"slices"
	"strings"
)

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
