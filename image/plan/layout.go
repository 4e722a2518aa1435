package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"imprint/bootloader"
	"imprint/internal/diag"
	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition"
)

// A Layout is the finished disk as a value: what lies where, before anything is written. Package write writes it in parallel;
// [Layout.ReadAt] reads it at any offset without a disk. Both consume the same extents.
type Layout struct {
	Size    int64     // bytes
	Regions []*Region // of every partition, in the order of the plan

	Table extent.List // the partition table's own bytes, and boot code in the first sector
	Raw   extent.List // contents outside of all partitions, such as firmware

	outside extent.List // both
}

// Made holds the file systems that were made into files of their own, by partition.
type Made map[*Partition]tree.Blob

// Layout computes where everything lies. It reads no content. The error is a [diag.List] of everything that does not fit, and
// of everything that a file system cannot store. A file system that a host tool packs is laid out with its size in made, or,
// before it is made, with an upper bound. One of ours is in made if a host tool gets it as a file.
//
// The order is that of dependencies. A file system inside another one is a file of it, so the outer one needs its size; and
// among the regions of the disk, an ISO's tree needs the size of the EFI system partition after it (see hybrid).
func (p *Plan) Layout(made Made) (*Layout, error) {
	l := &layouter{plan: p, made: made}
	if err := l.all(); err != nil {
		return nil, err
	}
	if part, size := l.rest(); part != nil {
		l.grown, l.grownTo = part, size
		if err := l.all(); err != nil {
			return nil, err
		}
	}
	return l.disk()
}

// all lays out every partition.
func (l *layouter) all() error {
	l.regions, l.end, l.last = map[*Partition]*Region{}, 0, 0
	for _, part := range l.plan.Partitions {
		if part.Inside != "" {
			l.inner(part)
		}
	}
	for _, part := range l.onDisk() {
		l.outer(part)
	}
	return l.problems.Err()
}

// A layouter lays out partitions, and collects the problems of all of them.
type layouter struct {
	plan     *Plan
	made     Made
	regions  map[*Partition]*Region
	end      int64      // of the last region so far, in bytes
	last     int64      // of all regions, in bytes
	grown    *Partition // takes the rest of the disk; nil if none does, or if that is not known yet
	grownTo  int64      // its size in bytes
	problems diag.List
}

// onDisk returns the partitions that are ranges of the disk, in the order in which they lie there. That is the order of the
// description, except on an ISO, whose volume descriptors have a fixed offset at the front.
func (l *layouter) onDisk() []*Partition {
	list := slices.DeleteFunc(slices.Clone(l.plan.Partitions), func(p *Partition) bool { return p.Inside != "" })
	slices.SortStableFunc(list, func(a, b *Partition) int { return cmp.Compare(l.rank(a), l.rank(b)) })
	return list
}

// rank orders the partitions of an ISO: its tree first, then the ESP, whose position the tree's boot catalog records.
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
	l.regions[part] = r // first, so that a cycle, which Parse reports, cannot recurse without end
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

// outer lays out a partition in a region of the disk: at the offset in the description, or at the first aligned one after the
// regions so far.
func (l *layouter) outer(part *Partition) {
	r := &Region{Partition: part, Offset: part.Offset}
	l.regions[part] = r
	whole := part.filesystem().WholeDisk
	if r.Offset == 0 && !whole {
		r.Offset = units.Align(max(l.end, units.Grain, l.plan.tableEnd()), part.Align)
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
	if part == l.grown {
		r.Size = l.grownTo
	}
	if whole {
		r.Size, r.lead = r.Maker.Size(), partition.ISOSystemArea
	}
	l.end = r.Offset + r.Size
	l.last = max(l.last, l.end)
}

// hybrid returns what an ISO has to know of the rest of the disk: the program that a BIOS boots, and the size and alignment of
// the EFI system partition that follows the tree. Only the ESP's size matters here, not its offset, which depends on the size
// of the tree: so the ESP is planned twice, and what depends on its offset must not change its size.
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
		r := &Region{Partition: part} // at offset 0, since only its size is used
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

// spec returns the partition's spec with what only the layout knows: its offset, linked boot code, room in percent of the
// content, and in the tree the nested file systems in place of their empty files.
func (l *layouter) spec(r *Region) (partition.Spec, error) {
	spec := r.Partition.Spec
	spec.Offset = r.Offset
	if r.Partition == l.grown {
		spec.Size = l.grownTo
	}
	if r.Partition.Code != nil {
		spec.Content = tree.Text(string(r.Partition.Code.Linked(r.Offset / bootloader.BIOSSector)))
	}
	if data := l.plan.dataOf(r.Partition); data != nil {
		var err error
		if spec.Content, err = l.hashTree(data, r.Partition); err != nil {
			return spec, err
		}
	}
	spec.Free += r.Partition.contentBytes() * r.Partition.FreeShare / 100
	for _, part := range l.plan.Partitions {
		if part.Inside == "" || part.Inside != r.Partition.Spec.Name {
			continue
		}
		if l.inner(part); l.regions[part].content == nil {
			continue // its problem is reported already
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

// maker plans the content of a region, or wraps the file that a host tool has packed for it.
func (l *layouter) maker(r *Region, spec partition.Spec) (partition.Maker, error) {
	m, err := partition.New(spec)
	if _, packed := m.(partition.Packed); packed && l.made[r.Partition] != nil {
		return partition.Ready(spec, l.made[r.Partition])
	}
	return m, err
}

// problem turns an error of a file system into a diagnostic. If the content does not fit, that is a mistake in the key size,
// and the hint lists the largest items.
func (p *Plan) problem(part *Partition, err error) diag.Problem {
	var small *partition.DoesNotFit
	var other *mistakeAt
	if errors.As(err, &other) {
		return other.key.Problem(other.text, "")
	}
	if !errors.As(err, &small) {
		problem := part.Key.ProblemOf(err)
		problem.Hint = cmp.Or(problem.Hint, carriedInside(part))
		return problem
	}
	hint := fmt.Sprintf("use size = \"auto\", or at least %d", small.Needed)
	if large := part.Largest(5); len(large) > 0 {
		hint += "; the largest in it:"
		for _, l := range large {
			hint += fmt.Sprintf("\n%10s  %s", units.FormatBytes(l.Bytes), tree.Shown(l.Path))
		}
	}
	return part.SizeKey.Problem(small.Error(), hint)
}

// carriedInside is the hint for a tree that a file system cannot store: another one can, in its place or as a file of it.
func carriedInside(part *Partition) string {
	if own := part.filesystem(); own.Carries == nil || part.Spec.Tree == nil || own.Carries(part.Spec.Tree) == nil {
		return ""
	}
	for _, f := range partition.Filesystems {
		switch carries := f.Inside && (f.Carries == nil || f.Carries(part.Spec.Tree) == nil); {
		case carries && part.filesystem().Inside:
			return fmt.Sprintf("%s can store it: write filesystem = %q; or exclude it", f.Name, f.Name)
		case carries:
			return fmt.Sprintf("%s can store it, as a file of this one: filesystem = %q, with inside and path", f.Name, f.Name)
		}
	}
	return "remove it"
}

// regionSize is the size of the region for content of that size. A region without a fixed size ends on the grain, as
// partitioning tools want it; the file system in it is only as large as it has to be.
func (p *Partition) regionSize(content, sector int64) int64 {
	if p.Spec.Size != 0 {
		return p.Spec.Size
	}
	return units.Align(content, max(sector, min(p.Align, units.Grain)))
}

// contentBytes is the sum of the sizes of all files, of which FreeShare is a percentage.
func (p *Partition) contentBytes() (sum int64) {
	if p.Spec.Tree == nil || p.FreeShare == 0 {
		return 0
	}
	for n := range p.Spec.Tree.Nodes() {
		sum += n.Size()
	}
	return sum
}
