package image

import (
	"errors"
	"iter"

	"imprint/image/xorriso"
	"imprint/internal/diag"
	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition"
)

// isoBlock is what an ISO gives out space in, in bytes.
const isoBlock = 2048

// What the structure of an ISO takes at most: records of a name in two directory trees, its names in both alphabets and its path, and the
// fixed structures at both ends.
const (
	isoPerNode = 2 * 1024
	isoFixed   = 1 << 20
)

// A bound is a part of an image that is not laid out before a program makes it.
type bound struct{ size, inodes int64 }

// Extents implements extent.Source: nothing is known.
func (bound) Extents(int64) iter.Seq[extent.Extent] { return extent.List(nil).Extents(0) }

// Size is the most that it takes, in bytes.
func (b bound) Size() int64 { return b.size }

// Stats implements partition.Describer.
func (b bound) Stats() partition.Stats { return partition.Stats{Inodes: b.inodes} }

// boundOf is what a tree takes at most.
func boundOf(t *tree.Tree) bound {
	b := bound{isoFixed, int64(t.Len())}
	for n := range t.Nodes() {
		b.size += isoPerNode + units.Align(n.Size(), isoBlock)
	}
	return b
}

// layoutISO is Layout for an ISO, whose inside xorriso lays out: a size that it does not exceed, and what cannot be in it.
func (p *Plan) layoutISO() (*Layout, error) {
	l := &Layout{}
	var problems diag.List
	var whole *Region
	for _, part := range p.Partitions {
		r, err := p.regionOfISO(part)
		var small *partition.DoesNotFit
		switch {
		case errors.As(err, &small):
			problems = append(problems, p.tooSmall(part, small))
		case err != nil:
			problems = append(problems, diag.Problem{Place: p.place(part.Key), Key: part.Key, Text: err.Error()})
		default:
			l.Regions = append(l.Regions, r)
			l.Size += r.Size
		}
		if part.Spec.Filesystem == filesystemISO {
			whole = r
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	whole.Size = l.Size
	for _, r := range l.Regions {
		if r.Partition.TypeGUID == partition.ESP {
			whole.Size -= r.Size
			r.Offset = whole.Size
		}
	}
	return l, nil
}

func (p *Plan) regionOfISO(part *Partition) (*Region, error) {
	switch part.Spec.Filesystem {
	case filesystemFAT:
		return p.region(part, 0)
	case filesystemISO:
		if err := xorriso.Check(part.Spec.Tree); err != nil {
			return nil, err
		}
	}
	b := boundOf(part.Spec.Tree)
	return &Region{Partition: part, Size: b.size, Maker: b}, nil
}
