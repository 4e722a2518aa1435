// Package chain explains why a node is reachable in a directed graph, by the shortest chains of references from roots to it.
package chain

import (
	"cmp"
	"slices"
)

// A Graph has nodes, their references, and the roots from which it is entered. References to missing nodes are ignored.
type Graph struct {
	References map[string][]string
	Roots      []Root
}

// A Root is a name that leads to a node.
type Root struct{ Name, Node string }

// A Chain leads from a root to a node: each node refers to the next one. Without nodes, it means that there is no path.
type Chain struct {
	Root  string   `json:"root"`
	Nodes []string `json:"items"`
}

// A Finder knows a shortest chain to every node: of several the one whose root and nodes come first in byte order.
type Finder struct {
	root   map[string]string // of each reachable node
	before map[string]string // the node that a chain comes from; none for the first
}

// Shortest returns a Finder. It visits each node and reference once.
func (g *Graph) Shortest() *Finder {
	f := &Finder{map[string]string{}, map[string]string{}}
	var queue []string
	for _, r := range sorted(g.Roots) {
		if f.root[r.Node] == "" {
			f.root[r.Node] = r.Name
			queue = append(queue, r.Node)
		}
	}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, next := range slices.Sorted(slices.Values(g.References[n])) {
			if _, reached := f.root[next]; !reached {
				f.root[next], f.before[next] = f.root[n], n
				queue = append(queue, next)
			}
		}
	}
	return f
}

func sorted(roots []Root) []Root {
	return slices.SortedFunc(slices.Values(roots), func(a, b Root) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Node, b.Node))
	})
}

// To returns the shortest chain to a node.
func (f *Finder) To(node string) (c Chain) {
	root, reached := f.root[node]
	if !reached {
		return c
	}
	c.Root = root
	for more := true; more; node, more = f.next(node) {
		c.Nodes = append(c.Nodes, node)
	}
	slices.Reverse(c.Nodes)
	return c
}

func (f *Finder) next(node string) (string, bool) {
	before, ok := f.before[node]
	return before, ok
}

// All returns a shortest chain to a node from each root that reaches it, shortest first. It returns at most most chains; more is the number of
// omitted ones.
func (g *Graph) All(node string, most int) (chains []Chain, more int) {
	next := g.towards(node)
	for _, r := range sorted(g.Roots) {
		if _, ok := next[r.Node]; !ok {
			continue
		}
		chains = append(chains, Chain{r.Name, follow(next, r.Node, node)})
	}
	slices.SortStableFunc(chains, func(a, b Chain) int { return cmp.Compare(len(a.Nodes), len(b.Nodes)) })
	if more = len(chains) - most; more > 0 {
		return chains[:most], more
	}
	return chains, 0
}

// towards returns, for every node with a path to the given node, the next node on a shortest one.
func (g *Graph) towards(node string) map[string]string {
	referrers := map[string][]string{}
	for from, list := range g.References {
		for _, to := range list {
			referrers[to] = append(referrers[to], from)
		}
	}
	next := map[string]string{node: node}
	level := []string{node}
	for len(level) > 0 {
		var further []string
		slices.Sort(level)
		for _, n := range level {
			for _, from := range referrers[n] {
				if _, ok := next[from]; !ok {
					next[from] = n
					further = append(further, from)
				}
			}
		}
		level = further
	}
	return next
}

func follow(next map[string]string, from, to string) []string {
	nodes := []string{from}
	for from != to {
		from = next[from]
		nodes = append(nodes, from)
	}
	return nodes
}
