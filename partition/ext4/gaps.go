package ext4

import (
	"cmp"
	"slices"
	"sort"
)

// merge returns spans sorted and joined where they touch. They do not overlap.
func merge(spans []span) (list []span) {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for _, s := range spans {
		if n := len(list); n > 0 && list[n-1].to == s.from {
			list[n-1].to = s.to
			continue
		}
		list = append(list, s)
	}
	return list
}

// gaps are free positions of a tape. They only shrink, from their beginnings, so their order stays. The last one ends with the tape, and may be
// empty; for the others, a heap-shaped tree of lengths finds one that is long enough.
type gaps struct {
	list    []span
	longest []int64 // of the gaps below node i, whose children are 2i and 2i+1; the leaves are the last half
}

// newGaps returns the positions before end that are not in used, which is sorted.
func newGaps(used []span, end int64) *gaps {
	g, at := &gaps{}, int64(0)
	for _, s := range used {
		if s.from > at {
			g.list = append(g.list, span{at, s.from})
		}
		at = s.to
	}
	g.list = append(g.list, span{at, end})
	leaves := 1
	for leaves < g.last() {
		leaves *= 2
	}
	g.longest = make([]int64, 2*leaves)
	for i := range g.last() {
		g.update(i)
	}
	return g
}

// last is the gap that ends with the tape.
func (g *gaps) last() int { return len(g.list) - 1 }

// update sets the lengths above a gap other than the last.
func (g *gaps) update(i int) {
	n := len(g.longest)/2 + i
	g.longest[n] = g.list[i].blocks()
	for n /= 2; n > 0; n /= 2 {
		g.longest[n] = max(g.longest[2*n], g.longest[2*n+1])
	}
}

// first returns the first gap of at least that many blocks.
func (g *gaps) first(blocks int64) (i int, ok bool) {
	if g.longest[1] < blocks {
		return g.last(), g.list[g.last()].blocks() >= blocks
	}
	n := 1
	for n < len(g.longest)/2 {
		if n *= 2; g.longest[n] < blocks {
			n++
		}
	}
	return n - len(g.longest)/2, true
}

// most returns the first of the longest gaps before the last one, and its length, 0 if there is none.
func (g *gaps) most() (i int, blocks int64) {
	if blocks = g.longest[1]; blocks > 0 {
		i, _ = g.first(blocks)
	}
	return i, blocks
}

// take takes blocks from the front of a gap.
func (g *gaps) take(i int, blocks int64) span {
	s := span{g.list[i].from, g.list[i].from + blocks}
	g.list[i].from = s.to
	if i < g.last() {
		g.update(i)
	}
	return s
}

// from returns the gap that begins at a position.
func (g *gaps) from(at int64) (i int, ok bool) {
	i = sort.Search(len(g.list), func(i int) bool { return g.list[i].to > at })
	return i, i < len(g.list) && g.list[i].from == at
}
