package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"imprint/bootloader"
	"imprint/internal/diag"
	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition"
)

// A Layout is the finished disk as a value: what lies where, before any of it is written.
type Layout struct {
	Size    int64     // bytes
	Regions []*Region // of every partition, in the order of the plan

	Table extent.List // the partition table's own bytes, and boot code in the first sector
	Raw   extent.List // contents outside of all partitions

	outside extent.List // both
}

// Made are the file systems that a host tool has packed into files of their own, by the partition that they are.
type Made map[*Partition]tree.Blob

// Layout computes where everything lies. It reads no content. What does not fit, and what a file system does not carry, comes as a
// [diag.List] of all such problems. A file system that a host tool packs is laid out as it is in made, and as a bound where it is not
// there.
func (p *Plan) Layout(made Made) (*Layout, error) {
	l := &layouter{plan: p, made: made, regions: map[*Partition]*Region{}}
	for _, part := range p.Partitions {
		if part.Inside != "" {
			l.inner(part)
		}
	}
	for _, part := range l.onDisk() {
		l.outer(part)
	}
	if err := l.problems.Err(); err != nil {
		return nil, err
	}
	return l.disk()
}

// A layouter lays out one partition after another.
type layouter struct {
	plan     *Plan
	made     Made
	regions  map[*Partition]*Region
	end      int64 // of the regions so far, in bytes
	problems diag.List
}

// onDisk are the partitions that are regions of the disk, in the order in which they lie there: what is the whole of an ISO comes first.
func (l *layouter) onDisk() []*Partition {
	list := slices.DeleteFunc(slices.Clone(l.plan.Partitions), func(p *Partition) bool { return p.Inside != "" })
	slices.SortStableFunc(list, func(a, b *Partition) int { return cmp.Compare(l.rank(a), l.rank(b)) })
	return list
}

// rank is where a partition lies on the disk: that of an ISO's tree first, what UEFI starts from a CD after it.
func (l *layouter) rank(p *Partition) int {
	switch {
	case l.plan.WholeDisk() == nil:
		return 0
	case p.filesystem().WholeDisk:
		return 0
	case p.TypeGUID == partition.ESP:
		return 1
	}
	return 2
}

// inner lays out a partition that is a file of another one, after those that are files of it.
func (l *layouter) inner(part *Partition) {
	if l.regions[part] != nil {
		return
	}
	r := &Region{Partition: part}
	l.regions[part] = r // before what lies in it: no cycle is endless
	spec, err := l.spec(r)
	if err == nil {
		r.Maker, err = l.maker(r, spec)
	}
	if err != nil {
		l.problems = append(l.problems, l.plan.problem(part, err))
		return
	}
	r.Size = r.Maker.Size()
	r.content = extent.NewBlob(r.Maker, r.Size)
	if made := l.made[part]; made != nil {
		r.content, r.Size = made, made.Size()
	}
}

// outer lays out a partition in a region of the disk: at the offset that the description wants, or the first one aligned after the
// regions before.
func (l *layouter) outer(part *Partition) {
	r := &Region{Partition: part, Offset: part.Offset}
	l.regions[part] = r
	whole := part.filesystem().WholeDisk
	if r.Offset == 0 && !whole {
		r.Offset = units.Align(max(l.end, units.Grain), part.Align)
	}
	spec, err := l.spec(r)
	if whole {
		spec.Hybrid = l.hybrid()
	}
	if err == nil {
		r.Maker, err = l.maker(r, spec)
	}
	if err != nil {
		l.problems = append(l.problems, l.plan.problem(part, err))
		return
	}
	r.Size = part.regionSize(r.Maker.Size(), l.plan.SectorSize)
	if whole {
		r.Size, r.lead = r.Maker.Size(), partition.ISOSystemArea
	}
	l.end = r.Offset + r.Size
}

// hybrid says how an ISO boots, and how large the EFI system partition is that comes after its tree.
func (l *layouter) hybrid() (h partition.Hybrid) {
	if boot := l.plan.ElTorito; boot != nil {
		h.BIOS = boot.Path
		for _, p := range boot.Pointers {
			h.Pointers = append(h.Pointers, partition.Pointer(p))
		}
	}
	for _, part := range l.plan.Partitions {
		if part.TypeGUID != partition.ESP || part.Inside != "" {
			continue
		}
		r := &Region{Partition: part} // of which only the size counts: where it lies is not known yet
		spec, err := l.spec(r)
		if err != nil {
			return h // reported when it is laid out
		}
		m, err := l.maker(r, spec)
		if err != nil {
			return h
		}
		h.ESP, h.Align = part.regionSize(m.Size(), l.plan.SectorSize), part.Align
	}
	return h
}

// spec is the partition as its maker is asked for it, with the files of the tree that are file systems in their places.
func (l *layouter) spec(r *Region) (partition.Spec, error) {
	spec := r.Partition.Spec
	spec.Offset = r.Offset
	if r.Partition.Code != nil {
		spec.Content = tree.Text(string(r.Partition.Code.Linked(r.Offset / bootloader.BIOSSector)))
	}
	spec.Free += r.Partition.contentBytes() * r.Partition.FreeShare / 100
	for _, part := range l.plan.Partitions {
		if part.Inside == "" || part.Inside != r.Partition.Spec.Name {
			continue
		}
		if l.inner(part); l.regions[part].content == nil {
			continue // there is a problem with it
		}
		n := spec.Tree.Find(part.Path)
		if n == nil {
			return spec, fmt.Errorf("there is no file %s for partition %q", part.Path, part.Spec.Name)
		}
		spec.Tree = spec.Tree.Replace(n, l.regions[part].content)
		l.regions[part].In = r
	}
	r.Tree = spec.Tree
	return spec, nil
}

// maker plans what is in a region, or takes what a host tool has made for it.
func (l *layouter) maker(r *Region, spec partition.Spec) (partition.Maker, error) {
	if made := l.made[r.Partition]; made != nil {
		return partition.Ready(spec, made)
	}
	return partition.New(spec)
}

// problem says why a partition cannot be laid out.
func (p *Plan) problem(part *Partition, err error) diag.Problem {
	var small *partition.DoesNotFit
	if !errors.As(err, &small) {
		problem := part.Key.ProblemOf(err)
		problem.Hint = cmp.Or(problem.Hint, carriedInside(part))
		return problem
	}
	hint := fmt.Sprintf("use size = \"auto\", or at least %d", small.Needed)
	if large := part.Largest(5); len(large) > 0 {
		hint += "; the largest in it:"
		for _, l := range large {
			hint += fmt.Sprintf("\n%10s  %s", units.FormatBytes(l.Bytes), strings.ReplaceAll(l.Path, "\n", `\n`))
		}
	}
	return part.SizeKey.Problem(small.Error(), hint)
}

// carriedInside is the hint for a tree that a file system does not carry: one that does can be a file of it.
func carriedInside(part *Partition) string {
	if own := part.filesystem(); own.Carries == nil || part.Spec.Tree == nil || own.Carries(part.Spec.Tree) == nil {
		return ""
	}
	for _, f := range partition.Filesystems {
		if f.Inside && (f.Carries == nil || f.Carries(part.Spec.Tree) == nil) {
			return fmt.Sprintf("%s that is a file of it carries this: filesystem = %q, with inside and path", f.Name, f.Name)
		}
	}
	return "leave it out"
}

// regionSize is the size of the region for content of that size. A region whose size is not fixed ends on the grain, as partitioning
// tools want it; what is in it is as large as it needs to be.
func (p *Partition) regionSize(content, sector int64) int64 {
	if p.Spec.Size != 0 {
		return p.Spec.Size
	}
	return units.Align(content, max(sector, min(p.Align, units.Grain)))
}

// contentBytes is the sum of the sizes of all files.
func (p *Partition) contentBytes() (sum int64) {
	if p.Spec.Tree == nil || p.FreeShare == 0 {
		return 0
	}
	for n := range p.Spec.Tree.Nodes() {
		sum += n.Size()
	}
	return sum
}
