package fat

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"imprint/internal/counterpart"
	"imprint/internal/gaps"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// Places is where everything lies in an earlier volume: see [Options.Earlier]. They are no more than hints: whatever they say, a volume that keeps
// to them as far as it can is a valid one.
type Places struct {
	geometry *geometry
	tree     *tree.Tree
	first    []uint32 // cluster, by node ID; 0 for none
	count    []int64  // of clusters
}

// ReadPlaces reads the places of a volume in an image of size bytes. Time and memory are as for [Read].
func ReadPlaces(image io.ReaderAt, size int64) (*Places, error) {
	g, err := readBoot(image, size, 0)
	if err != nil {
		return nil, fmt.Errorf("read FAT: boot sector: %w", err)
	}
	s := newScan(g, true, nil)
	t, err := s.root()
	if err != nil {
		return nil, fmt.Errorf("read FAT: %w", err)
	}
	p := &Places{g, t, make([]uint32, t.Len()), make([]int64, t.Len())}
	for i, o := range s.objects {
		if n := t.Find(s.path(int32(i))); n != nil && o.first >= firstCluster {
			p.first[n.ID()], p.count[n.ID()] = o.first, max(o.held, units.Blocks(o.size, g.cluster))
		}
	}
	return p, nil
}

// Size returns the size of the volume in bytes.
func (p *Places) Size() int64 { return p.geometry.size }

// same reports whether a volume has the clusters of the earlier one, at the same offsets.
func (p *Places) same(v volume) bool {
	return p.geometry.bits == v.bits && p.geometry.cluster == v.cluster && p.geometry.clusters == v.clusters && p.geometry.data == v.offset(firstCluster)
}

// A Kept says how much of a volume is where an earlier one had it.
type Kept struct {
	Anew     string // why all of it was laid out anew; "" if it was not
	Clusters int64  // that are where something at the same path was
	Moved    int64  // those that are not
}

// keep places files and directories where the earlier volume has them, as far as they do not need more clusters, and others in the first gap that
// is long enough.
func (p *Plan) keep(e *Places) {
	if !e.same(p.vol) {
		p.kept.Anew = "the volume has another size"
		return
	}
	rest := p.keepPlaces(e)
	var used []gaps.Span
	for _, c := range p.chains {
		used = append(used, gaps.Span{From: int64(c.first), To: int64(c.end)})
	}
	free := gaps.New(gaps.Merge(used), firstCluster, firstCluster+p.vol.clusters)
	for _, c := range rest {
		n := int64(c.end)
		gap, ok := free.First(n)
		if !ok {
			p.kept, p.chains = Kept{Anew: "there is no room in one piece for what is new"}, nil
			return
		}
		s := free.Take(gap, n)
		p.chains = append(p.chains, chain{uint32(s.From), uint32(s.To), c.id})
		p.kept.Moved += n
	}
	slices.SortFunc(p.chains, func(a, b chain) int { return cmp.Compare(a.first, b.first) })
}

// keepPlaces places what can stay. It returns the others, with their numbers of clusters as the ends of chains from 0 on.
func (p *Plan) keepPlaces(e *Places) (rest []chain) {
	like := counterpart.Of(p.tree, e.tree)
	var there []chain
	for n := range p.tree.Nodes() {
		clusters := p.vol.clustersOf(p.length(n), n)
		old := like[n.ID()]
		switch {
		case clusters == 0:
		case old < 0 || e.first[old] < firstCluster || e.count[old] < clusters || int64(e.first[old])+clusters > firstCluster+p.vol.clusters:
			rest = append(rest, chain{0, uint32(clusters), int32(n.ID())})
		default:
			there = append(there, chain{e.first[old], e.first[old] + uint32(clusters), int32(n.ID())})
		}
	}
	slices.SortStableFunc(there, func(a, b chain) int { return cmp.Compare(a.first, b.first) })
	end := uint32(0)
	for _, c := range there {
		if c.first < end { // a damaged or divided one, or a second name of a file
			rest = append(rest, chain{0, c.end - c.first, c.id})
			continue
		}
		p.chains, end = append(p.chains, c), c.end
		p.kept.Clusters += int64(c.end - c.first)
	}
	slices.SortFunc(rest, func(a, b chain) int { return cmp.Compare(a.id, b.id) })
	return rest
}
