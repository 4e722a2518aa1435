// Package gaps allocates runs of positions between those that are taken, such as blocks on a tape.
package gaps

import (
	"cmp"
	"slices"
	"sort"
)

// A Span is the positions [From, To).
type Span struct{ From, To int64 }

// Len returns the number of positions.
func (s Span) Len() int64 { return s.To - s.From }

// Merge returns spans that do not overlap sorted, and joined where they touch.
func Merge(spans []Span) (list []Span) {
	spans = slices.Clone(spans)
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	for _, s := range spans {
		if n := len(list); n > 0 && list[n-1].To == s.From {
			list[n-1].To = s.To
			continue
		}
		list = append(list, s)
	}
	return list
}

// Gaps are free positions, as gaps with indexes. They only shrink, from their beginnings, so their order stays. The last gap ends with the positions,
// and may be empty; for the others, a heap-shaped tree of lengths finds one that is long enough.
type Gaps struct {
	list    []Span
	longest []int64 // of the gaps below node i, whose children are 2i and 2i+1; the leaves are the last half
}

// New returns the positions from start to end that are not in used, spans that are sorted and do not overlap.
func New(used []Span, start, end int64) *Gaps {
	g, at := &Gaps{}, start
	for _, s := range used {
		if s.From > at {
			g.list = append(g.list, Span{at, s.From})
		}
		at = s.To
	}
	g.list = append(g.list, Span{at, end})
	leaves := 1
	for leaves < g.Last() {
		leaves *= 2
	}
	g.longest = make([]int64, 2*leaves)
	for i := range g.Last() {
		g.update(i)
	}
	return g
}

// Last returns the index of the last gap.
func (g *Gaps) Last() int { return len(g.list) - 1 }

// Gap returns what is left of a gap.
func (g *Gaps) Gap(i int) Span { return g.list[i] }

// update sets the lengths above a gap other than the last.
func (g *Gaps) update(i int) {
	node := len(g.longest)/2 + i
	g.longest[node] = g.list[i].Len()
	for node /= 2; node > 0; node /= 2 {
		g.longest[node] = max(g.longest[2*node], g.longest[2*node+1])
	}
}

// First returns the first gap of at least n positions.
func (g *Gaps) First(n int64) (i int, ok bool) {
	if g.longest[1] < n {
		return g.Last(), g.list[g.Last()].Len() >= n
	}
	node := 1
	for node < len(g.longest)/2 {
		if node *= 2; g.longest[node] < n {
			node++
		}
	}
	return node - len(g.longest)/2, true
}

// Longest returns the first of the longest gaps but the last one, and its length; 0 if nothing is left of them.
func (g *Gaps) Longest() (i int, n int64) {
	if n = g.longest[1]; n > 0 {
		i, _ = g.First(n)
	}
	return i, n
}

// Take takes n positions from the front of a gap that has them.
func (g *Gaps) Take(i int, n int64) Span {
	s := Span{g.list[i].From, g.list[i].From + n}
	g.list[i].From = s.To
	if i < g.Last() {
		g.update(i)
	}
	return s
}

// At returns the gap that begins at a position.
func (g *Gaps) At(position int64) (i int, ok bool) {
	i = sort.Search(len(g.list), func(i int) bool { return g.list[i].To > position })
	return i, i < len(g.list) && g.list[i].From == position
}
