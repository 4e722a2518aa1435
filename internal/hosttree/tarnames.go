package hosttree

import (
	"fmt"
	"slices"
	"strings"

	"imprint/internal/tree"
)

// names are the entries of an archive so far.
type names struct {
	list    []Entry
	at      map[string]int       // index of a path in list
	parents map[string]struct{}  // directories above an entry, with or without an entry of their own
	links   map[*tree.Node][]int // the entries that were made as hard links to a node
}

func newNames() names {
	return names{at: map[string]int{}, parents: map[string]struct{}{}, links: map[*tree.Node][]int{}}
}

// cleanName returns the path of a name in an archive.
func cleanName(name string) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("empty name")
	case name[0] == '/':
		return "", fmt.Errorf("absolute name %.80q", name)
	case len(name) > maxPath:
		return "", fmt.Errorf("name of %d bytes, %d are allowed", len(name), maxPath)
	}
	return tree.Clean(name)
}

// put adds a node, replacing an earlier one at the path.
func (s *names) put(path string, n *tree.Node, offset int64) error {
	if err := s.enter(path); err != nil {
		return err
	}
	if n.Kind() != tree.Dir {
		if _, ok := s.parents[path]; ok || path == "/" {
			return fmt.Errorf("a %v replaces a directory that has entries", n.Kind())
		}
	}
	i, again := s.at[path]
	if again {
		s.inherit(s.list[i].Node)
	} else {
		i = len(s.list)
		s.at[path] = i
		s.list = append(s.list, Entry{})
	}
	s.list[i] = Entry{path, n, offset}
	return nil
}

// link makes a further name of an earlier entry.
func (s *names) link(path, target string, offset int64) error {
	to, err := cleanName(target)
	if err != nil {
		return fmt.Errorf("hard link to %.80q: %v", target, err)
	}
	i, ok := s.at[to]
	if !ok {
		return fmt.Errorf("hard link to %.80q, which is not an earlier entry", target)
	}
	inode := s.list[i].Node.Inode()
	if inode.Kind() == tree.Dir {
		return fmt.Errorf("hard link to the directory %.80q", target)
	}
	if i, ok := s.at[path]; ok && s.list[i].Node.Inode() == inode {
		return nil // it already is
	}
	if err := s.put(path, tree.NewLink("", inode), offset); err != nil {
		return err
	}
	s.links[inode] = append(s.links[inode], s.at[path])
	return nil
}

// inherit makes the first link to a replaced node that node, so that its other links stay valid.
func (s *names) inherit(old *tree.Node) {
	links := s.links[old]
	for len(links) > 0 {
		heir := links[0]
		links = links[1:]
		if n := s.list[heir].Node; n.Kind() == tree.Link && n.Inode() == old {
			s.list[heir].Node = old
			break
		}
	}
	s.links[old] = links
}

// enter records the directories that a path leads through, and refuses one that leads through anything else.
func (s *names) enter(path string) error {
	for {
		path = path[:max(0, strings.LastIndexByte(path, '/'))]
		if _, ok := s.parents[path]; ok || path == "" {
			return nil
		}
		if i, ok := s.at[path]; ok && s.list[i].Node.Kind() != tree.Dir {
			return fmt.Errorf("is below %s, a %v", tree.Shown(path), s.list[i].Node.Kind())
		}
		s.parents[path] = struct{}{}
	}
}

// without returns the entries that are not left out, after a hard link to each of the others has taken its place.
func (s *names) without(excluded func(path string, dir bool) bool) []Entry {
	kept := make([]bool, len(s.list))
	for i, e := range s.list {
		kept[i] = !excluded(e.Path, e.Node.Kind() == tree.Dir)
	}
	for i, e := range s.list {
		if !kept[i] && e.Node.Kind() != tree.Link {
			s.links[e.Node] = slices.DeleteFunc(s.links[e.Node], func(link int) bool { return !kept[link] })
			s.inherit(e.Node)
		}
	}
	list := s.list[:0]
	for i, e := range s.list {
		if kept[i] {
			list = append(list, e)
		}
	}
	return list
}
