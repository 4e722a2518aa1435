// Package counterpart finds what of an earlier tree a node of a new one comes in place of.
package counterpart

import (
	"slices"
	"strings"

	"imprint/internal/tree"
)

// Of returns, for each node of a tree, the ID of the node of an earlier tree in whose place it comes, or -1: the one at the same path, or a sibling
// that is gone and whose name differs only in what comes before its first hyphen, as with names that begin with a digest. Of hard links it is the
// file itself.
func Of(t, earlier *tree.Tree) []int32 {
	m := &matcher{like: make([]int32, t.Len())}
	for id := range m.like {
		m.like[id] = -1
	}
	m.match(t.Root(), earlier.Root())
	return m.like
}

type matcher struct{ like []int32 }

// match records that a node is in the place of an earlier one, and matches what they hold.
func (m *matcher) match(n, earlier *tree.Node) {
	m.like[n.ID()] = int32(earlier.Inode().ID())
	if n.Kind() != tree.Dir || earlier.Kind() != tree.Dir {
		return
	}
	added, gone := m.matchNames(n.Children(), earlier.Children())
	if len(added) == 0 || len(gone) == 0 {
		return
	}
	free := map[string][]*tree.Node{}
	for _, old := range slices.Backward(gone) {
		free[afterHyphen(old.Name)] = append(free[afterHyphen(old.Name)], old)
	}
	for _, n := range added {
		key := afterHyphen(n.Name)
		if list := free[key]; key != "" && len(list) > 0 {
			m.match(n, list[len(list)-1])
			free[key] = list[:len(list)-1]
		}
	}
}

// matchNames matches nodes of the same names in two directories, and returns the others.
func (m *matcher) matchNames(nodes, earlier []*tree.Node) (added, gone []*tree.Node) {
	for len(nodes)+len(earlier) > 0 {
		switch {
		case len(earlier) == 0 || len(nodes) > 0 && nodes[0].Name < earlier[0].Name:
			added, nodes = append(added, nodes[0]), nodes[1:]
		case len(nodes) == 0 || earlier[0].Name < nodes[0].Name:
			gone, earlier = append(gone, earlier[0]), earlier[1:]
		default:
			m.match(nodes[0], earlier[0])
			nodes, earlier = nodes[1:], earlier[1:]
		}
	}
	return added, gone
}

// afterHyphen returns what follows the first hyphen of a name, "" if it has none.
func afterHyphen(name string) string {
	_, rest, _ := strings.Cut(name, "-")
	return rest
}
