package fat

import (
	"cmp"
	"fmt"
	"slices"

	"imprint/internal/units"
)

// A SizeError reports that a tree does not fit into a volume of the given size.
type SizeError struct {
	Need  int64 // bytes of the smallest larger volume with room for the tree and the free space
	Given int64 // bytes
}

// Error implements error.
func (e *SizeError) Error() string {
	return fmt.Sprintf("plan FAT: contents do not fit: %d bytes are needed, %d are given", e.Need, e.Given)
}

// fit returns the volume of the given size, or the smallest one with room for the tree.
func (p *Plan) fit() (volume, error) {
	all := shapes(p.opts, p.slots[0])
	given := p.opts.Size / p.opts.SectorSize
	if given > 0 {
		s, ok := choose(all, given)
		if v := s.volume; ok && p.need(s) <= v(given).clusters {
			return v(given), nil
		}
		if most := largest(all).hi; given > most {
			return volume{}, fmt.Errorf("plan FAT: size of %d bytes, the limit of %s is %d", p.opts.Size, p.opts.kind(), most*p.opts.SectorSize)
		}
	}
	s, sectors := p.smallest(all, given)
	switch {
	case sectors == 0:
		return volume{}, fmt.Errorf("plan FAT: contents of %d bytes, the limit of %s is %d",
			p.need(s)*s.cluster, p.opts.kind(), s.hi*s.sector)
	case given > 0:
		return volume{}, &SizeError{Need: sectors * s.sector, Given: p.opts.Size}
	}
	return s.volume(sectors), nil
}

// need returns the number of clusters that the tree and the free space take.
func (p *Plan) need(s shape) int64 {
	clusters := units.Blocks(p.opts.Free, s.cluster)
	for n := range p.tree.Nodes() {
		clusters += s.clustersOf(p.length(n), n)
	}
	return clusters
}

// smallest returns the size and the shape of the smallest volume with at least the given number of sectors and room for the tree. If there is
// none, sectors is 0 and the shape is that of the largest volumes.
func (p *Plan) smallest(all []shape, given int64) (best shape, sectors int64) {
	grain := max(1, p.opts.Grain/p.opts.SectorSize)
	for _, s := range all {
		n := units.Align(max(given, s.lo, s.sectors(p.need(s))), grain)
		for n <= s.hi {
			chosen, _ := choose(all, n)
			if chosen == s {
				break
			}
			n = units.Align(chosen.hi+1, grain) // volumes of n sectors have another shape, which is tried in its turn
		}
		if n <= s.hi && (sectors == 0 || n < sectors) {
			best, sectors = s, n
		}
	}
	if sectors == 0 {
		best = largest(all)
	}
	return best, sectors
}

// largest returns the shape of the largest volumes.
func largest(all []shape) shape {
	return slices.MaxFunc(all, func(a, b shape) int { return cmp.Compare(a.hi, b.hi) })
}

// kind names the type of volume in messages.
func (o Options) kind() string {
	if o.Bits == 0 {
		return fmt.Sprintf("FAT with sectors of %d bytes", o.SectorSize)
	}
	return fmt.Sprintf("FAT%d with sectors of %d bytes", o.Bits, o.SectorSize)
}
