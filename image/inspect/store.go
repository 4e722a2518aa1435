package inspect

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"imprint/closure"
)

// A Store describes a store by its database, and its GC roots.
type Store struct {
	Dir     string `json:"dir"`
	Items   int    `json:"items"`
	Bytes   int64  `json:"bytes"` // of the NARs of all items
	Roots   []Root `json:"roots"`
	Largest []Item `json:"largest"` // by the size of their NARs

	graph graph
}

// A Root is a GC root.
type Root struct {
	At      string `json:"at"`             // path of the link
	Item    string `json:"item,omitempty"` // the item that it leads to
	Items   int    `json:"items,omitempty"`
	Closure int64  `json:"closureBytes,omitempty"` // bytes of the NARs in the item's closure
	Error   string `json:"error,omitempty"`
}

// An Item is a store item.
type Item struct {
	Path    string `json:"path"`
	Bytes   int64  `json:"narBytes"`
	Closure int64  `json:"closureBytes"`
}

// Limits of what is computed and listed.
const (
	mostLargest = 10
	mostRoots   = 64 // roots whose closures are computed, unless all are
	mostSteps   = 1 << 29
)

func storeOf(ctx context.Context, from *closure.TreeStore, o Options) (*Store, error) {
	infos, err := from.Infos(ctx)
	if err != nil {
		return nil, fmt.Errorf("store database: %w", err)
	}
	s := &Store{Dir: from.Flavor().StoreDir, Items: len(infos), graph: graphOf(infos)}
	for _, size := range s.graph.size {
		s.Bytes += size
	}
	s.readRoots(from)
	s.readLargest()
	if o.Graph {
		s.graph.computeClosures(ctx)
	}
	return s, ctx.Err()
}

func (s *Store) readRoots(from *closure.TreeStore) {
	for _, root := range from.Roots() {
		r := Root{At: root.At, Item: root.Item.String()}
		i, valid := s.graph.index[root.Item]
		switch {
		case root.Err != nil:
			r.Error = root.Err.Error()
		case !valid:
			r.Error = "leads to an item that is not valid"
		default:
			s.graph.roots = append(s.graph.roots, graphRoot{at: root.At, item: i})
			if len(s.Roots) < mostRoots {
				r.Items, r.Closure = s.graph.closure(i)
			}
		}
		s.Roots = append(s.Roots, r)
	}
}

func (s *Store) readLargest() {
	g := &s.graph
	order := make([]int, len(g.size))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(g.size[b], g.size[a]), g.paths[a].Compare(g.paths[b]))
	})
	for _, i := range order[:min(mostLargest, len(order))] {
		_, closed := g.closure(i)
		s.Largest = append(s.Largest, Item{g.paths[i].String(), g.size[i], closed})
	}
}

// A graph is the items of a store by number, in the order of registration, and their references.
type graph struct {
	paths   []closure.Path
	index   map[closure.Path]int
	size    []int64
	refs    [][]int32
	roots   []graphRoot
	closed  []int64 // closure sizes; 0 if not computed
	visited []int32 // the traversal that has visited each item
	round   int32
	steps   int
	stack   []int32
}

type graphRoot struct {
	at   string
	item int
}

func graphOf(infos []*closure.Info) graph {
	n := len(infos)
	g := graph{index: make(map[closure.Path]int, n), paths: make([]closure.Path, n), size: make([]int64, n), refs: make([][]int32, n), visited: make([]int32, n)}
	for i, info := range infos {
		g.index[info.Path], g.paths[i], g.size[i] = i, info.Path, info.NARSize
	}
	for i, info := range infos {
		for _, ref := range info.References {
			if k, ok := g.index[ref]; ok && k != i {
				g.refs[i] = append(g.refs[i], int32(k))
			}
		}
	}
	return g
}

// closure returns the number of items in the closure of an item, and their bytes. In a hostile database, references may form cycles.
func (g *graph) closure(i int) (items int, bytes int64) {
	g.round++
	g.visited[i] = g.round
	for g.stack = append(g.stack[:0], int32(i)); len(g.stack) > 0; {
		k := g.stack[len(g.stack)-1]
		g.stack = g.stack[:len(g.stack)-1]
		items, bytes = items+1, bytes+g.size[k]
		g.steps += 1 + len(g.refs[k])
		for _, ref := range g.refs[k] {
			if g.visited[ref] != g.round {
				g.visited[ref] = g.round
				g.stack = append(g.stack, ref)
			}
		}
	}
	return items, bytes
}

// computeClosures computes the closure sizes of items until a bound of steps is reached.
func (g *graph) computeClosures(ctx context.Context) {
	g.closed = make([]int64, len(g.size))
	for i := range g.closed {
		if g.steps > mostSteps || ctx.Err() != nil {
			return
		}
		_, g.closed[i] = g.closure(i)
	}
}
