package tree

import (
	"path"
	"slices"
	"strings"
)

// maxLinks is how many symlinks Linux follows on the way to a file (MAXSYMLINKS); maxSteps bounds the names in their targets.
const (
	maxLinks = 40
	maxSteps = 4096
)

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

// Follow returns the node that a path leads to in the tree so far, where "/" in symlinks is the tree's root, and its path without symlinks. A
// hard link is followed to its file. The node is nil where there is none, or where there are too many symlinks on the way: real is then
// the path that is missing.
func (b *Builder) Follow(path string) (n *Node, real string) {
	above, at, links := []*Node{b.root}, []string(nil), 0 // the directories on the way, and their names
	rest := strings.Split(path, "/")
	for steps := 0; len(rest) > 0; steps++ {
		name, dir := rest[0], above[len(above)-1]
		switch rest = rest[1:]; name {
		case "", ".":
			continue
		case "..":
			above, at = above[:max(1, len(above)-1)], at[:max(0, len(at)-1)]
			continue
		}
		next := b.child(dir, name)
		if next == nil || next.kind == Symlink && links == maxLinks || steps > maxSteps {
			return nil, "/" + strings.Join(append(append(at, name), rest...), "/")
		}
		if next.kind != Symlink {
			above, at = append(above, next.Inode()), append(at, name)
			continue
		}
		links++
		if strings.HasPrefix(next.Target(), "/") {
			above, at = above[:1], nil
		}
		rest = append(strings.Split(next.Target(), "/"), rest...)
	}
	return above[len(above)-1], "/" + strings.Join(at, "/")
}

// child returns the node of a name in a directory; nil if there is none, or if dir is no directory.
func (b *Builder) child(dir *Node, name string) *Node {
	if dir.kind != Dir {
		return nil
	}
	return b.names(dir)[name]
}

// Glob returns what matches a pattern in the tree so far, sorted: paths without symlinks, each once, and the nodes that they lead to.
// Elements of the pattern are those of [path.Match]; as in a shell, a name that begins with a dot is matched only by a pattern that does.
func (b *Builder) Glob(pattern string) []Walked {
	found := []string{"/"}
	for element := range strings.SplitSeq(pattern, "/") {
		if element == "" || element == "." {
			continue
		}
		var next []string
		for _, dir := range found {
			next = append(next, b.matches(dir, element)...)
		}
		slices.Sort(next)
		found = slices.Compact(next)
	}
	var list []Walked
	for _, at := range found {
		n, _ := b.Follow(at)
		list = append(list, Walked{at, n})
	}
	return list
}

// matches returns the paths, without symlinks, of what a pattern matches in a directory.
func (b *Builder) matches(dir, pattern string) (found []string) {
	n, _ := b.Follow(dir)
	if !strings.ContainsAny(pattern, `*?[\`) {
		if n, real := b.Follow(Join(dir, pattern)); n != nil {
			found = append(found, real)
		}
		return found
	}
	if n.kind != Dir {
		return nil
	}
	for _, c := range n.Children() {
		ok, err := path.Match(pattern, c.Name)
		if !ok || err != nil || c.Name[0] == '.' && pattern[0] != '.' {
			continue
		}
		if n, real := b.Follow(Join(dir, c.Name)); n != nil {
			found = append(found, real)
		}
	}
	return found
}
