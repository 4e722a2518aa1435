package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"imprint/internal/extent"
	"imprint/internal/stream"
	"imprint/internal/tree"
	"imprint/partition"
)

// planner makes the jobs that carry a layout out.
type planner struct {
	plan   *Plan
	disk   *stream.Disk
	verify bool

	jobs    []stream.Job
	total   int64                        // bytes that will be written
	further map[tree.Blob][]stream.Place // the places of what lies in other regions than the main one
	carrier map[tree.Blob]*tree.Node     // the file of the main region with which those places are written
	scratch []stream.Place
}

// target is a region whose files' places are known, or one whose files are only read to be verified.
type target struct {
	region *Region
	placer partition.Placer // nil when a host tool fills the region
	block  int64            // unit in bytes that the region gives out space in
}

// prepare makes all jobs. The region of the store is first: contents that lie in others too are read with it and written twice.
func (p *planner) prepare(l *Layout) {
	p.further, p.carrier = map[tree.Blob][]stream.Place{}, map[tree.Blob]*tree.Node{}
	main := mainRegion(l)
	for _, r := range l.Regions {
		if r != main {
			p.other(r)
		}
	}
	for _, e := range l.raw {
		p.further[e.Blob] = append(p.further[e.Blob], e)
	}
	if main != nil {
		p.region(main)
	}
	for b, places := range p.further {
		if p.carrier[b] == nil {
			p.copyOf(b, places)
		}
	}
	p.fill(l.table, 0, 1)
}

// mainRegion is the one with the store, else the first.
func mainRegion(l *Layout) *Region {
	for _, r := range l.Regions {
		if len(r.Partition.Items) > 0 {
			return r
		}
	}
	if len(l.Regions) == 0 {
		return nil
	}
	return l.Regions[0]
}

// region makes the jobs for a region with its own files.
func (p *planner) region(r *Region) {
	t := target{region: r, block: 1}
	switch m := r.Maker.(type) {
	case partition.HostMade:
		p.host(r, m)
	case partition.Placer:
		t.placer, t.block = m, m.BlockSize()
		p.metadata(r, t.block)
	default:
		p.plain(r)
		return
	}
	p.items(t)
	p.files(t)
}

// other makes the jobs for a region beside the main one: its files' places are kept, to be written by whoever reads them.
func (p *planner) other(r *Region) {
	switch m := r.Maker.(type) {
	case partition.HostMade:
		p.host(r, m)
		p.unplaced(r)
	case partition.Placer:
		p.metadata(r, m.BlockSize())
		for n := range r.Partition.Spec.Tree.Nodes() {
			if n.Kind() == tree.File {
				p.further[n.Blob()] = append(p.further[n.Blob()], at(r, m.Place(nil, n))...)
			}
		}
	default:
		p.plain(r)
	}
}

// unplaced has the host files in a region that a host tool fills read once more, so that they are verified.
func (p *planner) unplaced(r *Region) {
	for n := range r.Partition.Spec.Tree.Nodes() {
		b := n.Blob()
		if _, pinned := p.plan.pins[b]; pinned && p.verify && p.further[b] == nil {
			p.further[b] = []stream.Place{}
		}
	}
}

// at moves places of a region to their offsets in the disk.
func at(r *Region, places []stream.Place) []stream.Place {
	for i := range places {
		places[i].Off += r.Offset
	}
	return places
}

func (p *planner) add(cost int64, run func(context.Context, *stream.Worker) error) {
	p.jobs = append(p.jobs, stream.Job{Cost: cost, Run: run})
}

// expect counts bytes that a job will write.
func (p *planner) expect(places []stream.Place) {
	for _, e := range places {
		p.total += e.Len
		if p.disk.Digest != nil {
			p.disk.Digest.Expect(e.Off, e.Len)
		}
	}
}

// metadata makes jobs that write a file system's own structure.
func (p *planner) metadata(r *Region, block int64) {
	var list extent.List
	for e := range r.Maker.Extents(0) {
		if e.Meta {
			list = append(list, e)
		}
	}
	p.fill(list, r.Offset, block)
}

// fill makes jobs that write generated extents, several together.
func (p *planner) fill(list extent.List, offset, block int64) {
	for len(list) > 0 {
		n, size := 0, int64(0)
		for n < len(list) && (n == 0 || size+list[n].Len <= leastBatch) {
			size += list[n].Len
			n++
		}
		part := make([]stream.Place, n)
		copy(part, list[:n])
		for i := range part {
			part[i].Off += offset
		}
		p.expect(part)
		p.add(size, func(_ context.Context, w *stream.Worker) error { return w.Fill(part, block) })
		list = list[n:]
	}
}

// plain makes a job for a region without a file system.
func (p *planner) plain(r *Region) {
	for e := range r.Maker.Extents(0) {
		e.Off += r.Offset
		p.further[e.Blob] = append(p.further[e.Blob], e)
	}
}

// copyOf makes a job for contents that lie in no main region.
func (p *planner) copyOf(b tree.Blob, places []stream.Place) {
	p.expect(places)
	p.add(b.Size()+stream.FileCost, func(_ context.Context, w *stream.Worker) error {
		return p.pinned(b, func(h io.Writer) error { return w.Copy(b, stream.To{Further: places, Hash: h}) })
	})
}

// pinned runs a copy of a blob with the hash that its content must have, if there is one and verification is on.
func (p *planner) pinned(b tree.Blob, move func(io.Writer) error) error {
	want, ok := p.plan.pins[b]
	if !ok || !p.verify {
		return move(nil)
	}
	h := sha256.New()
	if err := move(h); err != nil {
		return err
	}
	if pin(h.Sum(nil)) != want {
		return fmt.Errorf("%s has other contents than when the plan was made: %w", hostName(b), ErrMismatch)
	}
	return nil
}

func hostName(b tree.Blob) string {
	if h, ok := b.(interface{ HostPath() string }); ok {
		return h.HostPath()
	}
	return "a file"
}

// host makes the job that runs a host tool.
func (p *planner) host(r *Region, m partition.HostMade) {
	p.total += r.hostMade()
	if p.disk.Digest != nil {
		p.disk.Digest.Expect(r.Offset, r.Size)
	}
	p.add(r.Size, func(ctx context.Context, _ *stream.Worker) error {
		if err := m.Make(ctx, procPath(p.disk.File), r.Offset); err != nil {
			return fmt.Errorf("make partition %q: %w", r.Partition.Spec.Name, err)
		}
		if p.disk.Digest == nil {
			return nil
		}
		return p.disk.Digest.Made(r.Offset, r.Size, p.disk.File)
	})
}
