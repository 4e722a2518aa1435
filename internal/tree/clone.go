package tree

// Clone returns copies of nodes and of all nodes below them, for a second tree: a node belongs to one. Contents and attributes are shared.
// A link to a node that is copied leads to its copy.
func Clone(nodes []*Node) []*Node {
	c := cloner{}
	list := c.all(nodes)
	for _, n := range c {
		if target, ok := n.body.(*Node); ok && c[target] != nil {
			n.body = c[target]
		}
	}
	return list
}

// A cloner maps nodes to their copies.
type cloner map[*Node]*Node

func (c cloner) all(nodes []*Node) []*Node {
	list := make([]*Node, len(nodes))
	for i, n := range nodes {
		list[i] = c.one(n)
	}
	return list
}

func (c cloner) one(n *Node) *Node {
	if c[n] == nil {
		copied := *n
		c[n] = &copied
		if n.kind == Dir {
			copied.body = &children{c.all(n.Children())}
		}
	}
	return c[n]
}
