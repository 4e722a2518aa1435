package write

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"

	"imprint/image/plan"
	"imprint/internal/extent"
	"imprint/internal/output"
	"imprint/internal/stream"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition"
)

// A planner makes the jobs that write a layout.
type planner struct {
	disk     *stream.Disk
	verify   verifier
	archives *archives    // nil for none
	noDisk   bool         // only archives are written
	told     *stream.Disk // gets to know what will be written, if it is not disk

	jobs    []stream.Job
	total   int64                         // bytes that will be written
	sizes   map[*stream.Volume]int64      // the part of them in each file
	beside  int64                         // bytes of scratch files that host tools need while they run
	further map[tree.Blob][]extent.Extent // where contents lie outside the main region
	carrier map[tree.Blob]*tree.Node      // the file of the main region whose job writes them too
	scratch []extent.Extent
	low     int64 // lowest offset that was expected since a job was added
}

// newPlanner makes all jobs of a stage, with the first fields of p. The main region is planned last: a content that is also in other regions, such as a kernel in the
// store and on the ESP, is then known to be, and is read once and written in all places. What only other regions hold gets
// jobs of its own.
func newPlanner(p planner, s stage) *planner {
	p.low, p.told = math.MaxInt64, cmp.Or(p.told, p.disk)
	p.sizes, p.further, p.carrier = map[*stream.Volume]int64{}, map[tree.Blob][]extent.Extent{}, map[tree.Blob]*tree.Node{}
	regions := slices.DeleteFunc(slices.Clone(s.regions), func(r *plan.Region) bool { return p.noDisk && !p.archives.have(r) })
	main := mainRegion(regions)
	for _, r := range regions {
		if r != main {
			p.other(r)
		}
	}
	if !p.noDisk {
		p.outside(s)
	}
	if main != nil {
		p.main(main)
	}
	for b, places := range p.further {
		if p.carrier[b] == nil {
			p.copyOf(b, places)
		}
	}
	return &p
}

// outside makes the jobs for what lies outside of all regions.
func (p *planner) outside(s stage) {
	for _, e := range s.raw {
		p.further[e.Blob] = append(p.further[e.Blob], e)
	}
	p.fill(s.table, 1)
}

// mainRegion returns the region with the store, or else the first one that stores each file once.
func mainRegion(regions []*plan.Region) *plan.Region {
	var first *plan.Region
	for _, r := range regions {
		if len(r.Partition.Items) > 0 {
			return r
		}
		if first == nil && r.Tree != nil && !copiesLinks(r) {
			first = r
		}
	}
	return first
}

// copiesLinks reports whether the region has hard links on a file system without them (FAT), where each name has its own copy
// of the content.
func copiesLinks(r *plan.Region) bool {
	if partition.Named(r.Partition.Spec.Filesystem).Store {
		return false
	}
	for n := range r.Tree.Nodes() {
		if n.Kind() == tree.Link {
			return true
		}
	}
	return false
}

// main makes the jobs for the main region, in the order of its tree.
func (p *planner) main(r *plan.Region) {
	p.structure(r)
	if p.elsewhere(r) {
		return
	}
	p.items(r)
	p.files(r)
}

// other makes the jobs for the structure of another region, and notes where its files lie, for the job that reads them. A
// content that lies nowhere, such as an empty or inlined one, is noted if it has to be verified.
func (p *planner) other(r *plan.Region) {
	p.structure(r)
	if r.Tree == nil || p.elsewhere(r) {
		return
	}
	copies := copiesLinks(r)
	for n := range r.Tree.Nodes() {
		if n.Kind() == tree.Link && !copies {
			continue
		}
		inode := n.Inode()
		if inode.Kind() != tree.File || isRegion(inode) || p.patched(r, inode) {
			continue
		}
		b, places := inode.Blob(), p.onDisk(nil, r, n)
		if n == inode {
			places = p.archives.places(places, r, n)
		}
		if len(places) > 0 || p.verify.wants(b) && p.further[b] == nil {
			p.further[b] = append(p.further[b], places...)
		}
	}
}

// elsewhere reports whether the contents of a region are not for jobs: only a host tool gets them, verified as they pass.
func (p *planner) elsewhere(r *plan.Region) bool { return r.ByHostTool() && !p.archives.have(r) }

// onDisk appends where a file's content lies on the disk to list.
func (p *planner) onDisk(list []extent.Extent, r *plan.Region, n *tree.Node) []extent.Extent {
	if p.noDisk || r.ByHostTool() {
		return list
	}
	return r.Place(list, n)
}

// isRegion reports whether the content of a file is a nested file system, which has jobs of its own.
func isRegion(n *tree.Node) bool {
	src, _ := extent.SourceOf(n.Blob())
	return src != nil
}

// patched reports whether the file system changes the content of a file, such as ISOLINUX or GRUB's boot image, which hold
// their own offset (a boot info table). The changed content is noted to be written, and the original is still compared with
// its pin, since nothing else reads it.
func (p *planner) patched(r *plan.Region, n *tree.Node) bool {
	places := p.onDisk(nil, r, n)
	if len(places) == 0 || places[0].Blob == n.Blob() {
		return false
	}
	p.further[places[0].Blob] = append(p.further[places[0].Blob], places...)
	b, archived := n.Blob(), p.archives.places([]extent.Extent{}, r, n)
	if len(archived) > 0 || p.verify.wants(b) && p.further[b] == nil {
		p.further[b] = append(archived, p.further[b]...)
	}
	return true
}

// structure makes jobs for a region's own metadata, or for its bytes if it is not a file system, and for the headers of its archives.
func (p *planner) structure(r *plan.Region) {
	if p.archives.have(r) {
		for _, as := range p.archives.of[r] {
			p.fill(as.structure(), 1)
		}
	}
	if p.noDisk {
		return
	}
	switch m := r.Maker.(type) {
	case partition.HostMade:
		p.host(r, m)
	case partition.Placer:
		p.metadata(r, m.Grain())
	default:
		if r.In == nil { // otherwise it is written as a file of the outer region
			for e := range m.Extents(0) {
				e.Off += r.Offset
				p.further[e.Blob] = append(p.further[e.Blob], e)
			}
		}
	}
}

func (p *planner) add(cost int64, run func(context.Context, *stream.Worker) error) {
	p.jobs = append(p.jobs, stream.Job{Cost: cost, At: p.low, Run: run})
	p.low = math.MaxInt64
}

// expect counts bytes that a job will write, for the progress and for the digests of pieces.
func (p *planner) expect(places []extent.Extent) {
	for _, e := range places {
		p.low = min(p.low, e.Off)
		p.total += e.Len
		p.sizes[p.disk.At(e.Off)] += e.Len
		p.told.Expect(e.Off, e.Len)
	}
}

// metadata makes jobs that write a file system's own structure.
func (p *planner) metadata(r *plan.Region, grain int64) {
	var list extent.List
	for e := range r.Maker.Extents(0) {
		if e.Meta {
			list = append(list, e)
		}
	}
	p.fill(r.OnDisk(list), grain)
}

// fill makes jobs that write generated extents, several in each.
func (p *planner) fill(list []extent.Extent, grain int64) {
	for len(list) > 0 {
		n, size := 0, int64(0)
		for n < len(list) && (n == 0 || size+list[n].Len <= leastBatch) {
			size += list[n].Len
			n++
		}
		part := list[:n:n]
		p.expect(part)
		p.add(size, func(_ context.Context, w *stream.Worker) error { return w.Fill(part, grain) })
		p.jobs[len(p.jobs)-1].Scattered = true
		list = list[n:]
	}
}

// copyOf makes a job for a content that is not in the main region.
func (p *planner) copyOf(b tree.Blob, places []extent.Extent) {
	p.expect(places)
	p.add(b.Size()+stream.FileCost, func(_ context.Context, w *stream.Worker) error {
		return p.verify.content(b, func(h io.Writer) error { return w.Copy(b, stream.To{Further: places, Grain: 1, Hash: h}) })
	})
}

// host makes the job in which a host tool fills a region.
func (p *planner) host(r *plan.Region, m partition.HostMade) {
	p.total += hostMade(r)
	p.sizes[&p.disk.Volume] += hostMade(r)
	p.beside += m.Scratch()
	p.told.Expect(r.Offset, r.Size)
	p.add(r.Size, func(ctx context.Context, _ *stream.Worker) error {
		err := feed(ctx, r, p.verify, &p.disk.Bytes, func(ctx context.Context) (partition.Packer, error) {
			return m.Fill(ctx, output.ToolPath(p.disk.File), r.Offset)
		})
		if err != nil {
			return fmt.Errorf("make partition %q: %w", r.Partition.Spec.Name, err)
		}
		return p.disk.Made(r.Offset, r.Size)
	})
}

// hostMade estimates the bytes that a host tool writes to a region: contents in whole blocks, an inode for each node, and 5 %
// of structure.
func hostMade(r *plan.Region) int64 {
	const block, inode = 4096, 256
	sum := int64(0)
	for n := range r.Tree.Nodes() {
		sum += units.Align(n.Size(), block) + inode
	}
	return min(r.Size, sum+sum/20)
}
