package image

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"

	"imprint/internal/diag"
	"imprint/internal/extent"
	"imprint/internal/units"
	"imprint/partition"
)

// A Layout is the finished disk as a value: what lies where, before any of it is written.
type Layout struct {
	Size    int64     // bytes
	Regions []*Region // in the order of the partition table

	table   extent.List // the partition table's own bytes, and boot code in the first sector
	raw     extent.List // contents outside of all partitions
	outside extent.List // both
}

// A Region is where a partition lies, and what is in it.
type Region struct {
	Partition *Partition
	Offset    int64 // of the disk, bytes
	Size      int64 // bytes
	Maker     partition.Maker
}

// Layout computes where everything lies. It reads no content. What does not fit comes as a diag.List, with both numbers and the
// largest items.
func (p *Plan) Layout() (*Layout, error) {
	if p.Format == formatISO {
		return p.layoutISO()
	}
	l := &Layout{}
	var problems diag.List
	end := int64(0)
	for _, part := range p.Partitions {
		r, err := p.region(part, max(end, Grain))
		if err != nil {
			problems = append(problems, p.cannotBe(part, err))
			continue
		}
		l.Regions = append(l.Regions, r)
		end = r.Offset + r.Size
		l.Size = max(l.Size, end)
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	l.Size = units.Align(max(l.Size, Grain, p.rawEnd())+p.backupSize(), Grain)
	if err := p.tabulate(l); err != nil {
		return nil, err
	}
	return l, p.placeRaw(l)
}

// region plans one partition that starts at the first aligned offset from start on, or where the description wants it.
func (p *Plan) region(part *Partition, start int64) (*Region, error) {
	spec := part.Spec
	spec.Offset = part.Offset
	if spec.Offset == 0 {
		spec.Offset = units.Align(start, part.Align)
	}
	if part.code != nil {
		spec.Content = linked(*part.code, spec.Offset)
	}
	spec.Free += part.contentBytes() * part.FreeShare / 100
	m, err := partition.New(spec)
	if err != nil {
		return nil, err
	}
	return &Region{Partition: part, Offset: spec.Offset, Size: part.regionSize(m.Size(), p.SectorSize), Maker: m}, nil
}

// regionSize is the size of the region for content of that size. A region whose size is not fixed ends on the grain, as partitioning
// tools want it; what is in it is as large as it needs to be.
func (p *Partition) regionSize(content, sector int64) int64 {
	if p.Spec.Size != 0 {
		return p.Spec.Size
	}
	return units.Align(content, max(sector, min(p.Align, Grain)))
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

// cannotBe tells why a partition cannot be laid out.
func (p *Plan) cannotBe(part *Partition, err error) diag.Problem {
	var small *partition.DoesNotFit
	if errors.As(err, &small) {
		return p.tooSmall(part, small)
	}
	return diag.Problem{Place: p.place(part.Key), Key: part.Key, Text: err.Error()}
}

// tooSmall tells what a partition would need, and what takes the most.
func (p *Plan) tooSmall(part *Partition, small *partition.DoesNotFit) diag.Problem {
	key := part.Key + ".size"
	hint := fmt.Sprintf("use size = \"auto\", or at least %d", small.Needed)
	if large := p.Largest(part, 5); len(large) > 0 {
		hint += "; the largest in it:"
		for _, l := range large {
			hint += fmt.Sprintf("\n%10s  %s", units.FormatBytes(l.Bytes), l.Path)
		}
	}
	return diag.Problem{Place: p.place(key), Key: key, Text: small.Error(), Hint: hint}
}

// Largest gives the n largest things of a partition: store items as a whole, and files besides them.
func (p *Plan) Largest(part *Partition, n int) []partition.Large {
	if part.Spec.Tree == nil || n == 0 {
		return nil
	}
	items := make(map[string]bool, len(part.Items))
	for _, item := range part.Items {
		items[item.Info.Path.String()] = true
	}
	return partition.Largest(part.Spec.Tree, n, func(path string) bool { return items[path] })
}

// Extents implements extent.Source for the whole disk. The region of a host-tool engine is missing until it is made.
func (l *Layout) Extents(from int64) iter.Seq[extent.Extent] {
	regions := slices.Clone(l.Regions)
	slices.SortFunc(regions, func(a, b *Region) int { return cmp.Compare(a.Offset, b.Offset) })
	return func(yield func(extent.Extent) bool) {
		next, stop := iter.Pull(l.outside.Extents(from))
		defer stop()
		e, more := next()
		before := func(end int64) bool { // yields what lies outside of all regions before end
			for ; more && e.Off < end; e, more = next() {
				if !yield(e) {
					return false
				}
			}
			return true
		}
		for _, r := range regions {
			if !before(r.Offset) {
				return
			}
			for e := range r.Maker.Extents(max(0, from-r.Offset)) {
				e.Off += r.Offset
				if !yield(e) {
					return
				}
			}
		}
		before(l.Size)
	}
}

// ReadAt gives the bytes of the finished disk, with no disk there: it reads only the sources that lie in the range. It is an error
// when a host tool has to make the region first.
func (l *Layout) ReadAt(p []byte, off int64) error {
	for _, r := range l.Regions {
		if r.isHostMade() && off < r.Offset+r.Size && r.Offset < off+int64(len(p)) {
			return fmt.Errorf("partition %q is made by a host tool: its bytes are not known before", r.Partition.Spec.Name)
		}
	}
	return extent.ReadAt(l, p, off)
}

func (r *Region) isHostMade() bool {
	switch r.Maker.(type) {
	case partition.HostMade, bound:
		return true
	}
	return false
}
