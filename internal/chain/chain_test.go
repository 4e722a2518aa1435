package chain

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
)

func graph(roots string, lines ...string) *Graph {
	g := &Graph{References: map[string][]string{}}
	for r := range strings.FieldsSeq(roots) {
		name, node, _ := strings.Cut(r, "=")
		g.Roots = append(g.Roots, Root{name, node})
	}
	for _, l := range lines {
		from, to, _ := strings.Cut(l, ":")
		g.References[from] = strings.Fields(to)
	}
	return g
}

func (c Chain) String() string { return c.Root + ": " + strings.Join(c.Nodes, " ") }

func TestShortest(t *testing.T) {
	f := graph("user=tool profile=system boot=kernel", "system: system lib kernel app", "app: lib libc", "lib: libc", "tool: gone", "cycle: lib").Shortest()
	for node, want := range map[string]string{
		"system": "profile: system", "kernel": "boot: kernel", "lib": "profile: system lib", "libc": "profile: system app libc",
		"tool": "user: tool", "cycle": ": ", "none": ": ", "gone": "user: tool gone",
	} {
		if got := f.To(node).String(); got != want {
			t.Errorf("%s: %s, not %s", node, got, want)
		}
	}
}

func TestAll(t *testing.T) {
	g := graph("c=a b=long a=other direct=x", "a: x", "long: mid", "mid: a", "other: none", "x: x a")
	chains, more := g.All("x", 10)
	want := "[direct: x c: a x b: long mid a x]"
	if got := fmt.Sprint(chains); got != want || more != 0 {
		t.Errorf("%s and %d more, not %s", got, more, want)
	}
	if chains, more := g.All("x", 1); len(chains) != 1 || more != 2 {
		t.Errorf("%v and %d more", chains, more)
	}
	if chains, _ := g.All("nothing", 1); len(chains) != 0 {
		t.Errorf("%v lead to nothing", chains)
	}
}

// In any graph both find chains of the same length, along references that are there.
func TestRandomGraphs(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for range 200 {
		g := &Graph{References: map[string][]string{}}
		n := 1 + random.Intn(12)
		name := func() string { return fmt.Sprint(random.Intn(n)) }
		for range random.Intn(3 * n) {
			from := name()
			g.References[from] = append(g.References[from], name())
		}
		for range random.Intn(4) {
			g.Roots = append(g.Roots, Root{"root" + name(), name()})
		}
		f := g.Shortest()
		for i := range n {
			node := fmt.Sprint(i)
			one := f.To(node)
			all, _ := g.All(node, 1)
			if len(all) != min(1, len(one.Nodes)) || len(all) > 0 && len(all[0].Nodes) != len(one.Nodes) {
				t.Fatalf("%v: %s by %v and %v", g, node, one, all)
			}
			for _, c := range append(all, one) {
				checkChain(t, g, c, node)
			}
		}
	}
}

func checkChain(t *testing.T, g *Graph, c Chain, node string) {
	t.Helper()
	if len(c.Nodes) == 0 {
		return
	}
	if !slices.Contains(g.Roots, Root{c.Root, c.Nodes[0]}) || c.Nodes[len(c.Nodes)-1] != node {
		t.Fatalf("%v does not lead from a root to %s", c, node)
	}
	for i := 1; i < len(c.Nodes); i++ {
		if !slices.Contains(g.References[c.Nodes[i-1]], c.Nodes[i]) {
			t.Fatalf("%v: no reference to %s", c, c.Nodes[i])
		}
	}
}
