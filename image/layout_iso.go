package image

import (
	"cmp"
	"iter"

	"imprint/image/xorriso"
	"imprint/internal/diag"
	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition"
	"imprint/partition/erofs"
	"imprint/partition/squashfs"
)

// isoBlock is what an ISO gives out space in, in bytes.
const isoBlock = 2048

// What the structure of an ISO takes at most: records of a name in two directory trees, its names in both alphabets and its path; a block of a
// directory in each of the trees; and the fixed structures at both ends.
const (
	isoPerNode = 2 * 1024
	isoPerDir  = 2 * isoBlock
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

// boundOf is what a tree takes at most. Of a content with several names an EROFS has copies.
func boundOf(t *tree.Tree, filesystem string) bound {
	b := bound{isoFixed, int64(t.Len())}
	for n := range t.Nodes() {
		if filesystem == filesystemEROFS {
			n = n.Inode()
		}
		if b.size += isoPerNode + units.Align(n.Size(), isoBlock); n.Kind() == tree.Dir {
			b.size += isoPerDir
		}
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
		if err != nil {
			problem := p.cannotBe(part, err)
			problem.Hint = cmp.Or(problem.Hint, carriedInside(part))
			problems = append(problems, problem)
			continue
		}
		l.Regions = append(l.Regions, r)
		l.Size += r.Size
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

// carries says what of a tree a file system of an ISO does not carry.
var carries = map[string]func(*tree.Tree) error{filesystemISO: xorriso.Check, filesystemSquash: squashfs.Check, filesystemEROFS: erofs.Check}

func (p *Plan) regionOfISO(part *Partition) (*Region, error) {
	if part.Spec.Filesystem == filesystemFAT {
		return p.region(part, 0)
	}
	if err := carries[part.Spec.Filesystem](part.Spec.Tree); err != nil {
		return nil, err
	}
	b := boundOf(part.Spec.Tree, part.Spec.Filesystem)
	return &Region{Partition: part, Size: b.size, Maker: b}, nil
}

// carriedInside is the hint for what a partition does not carry.
func carriedInside(part *Partition) string {
	switch {
	case part.Spec.Filesystem == filesystemFAT:
		return ""
	case squashfs.Check(part.Spec.Tree) == nil:
		return `a squashfs that is a file of the ISO carries it: filesystem = "squashfs", with inside and path`
	}
	return "leave it out: no file system of an ISO carries it"
}
