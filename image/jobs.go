package image

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"runtime"
	"slices"

	"imprint/closure"
	"imprint/closure/nar"
	"imprint/internal/extent"
	"imprint/internal/stream"
	"imprint/internal/tree"
	"imprint/partition"
)

// ErrMismatch is matched by errors about contents that are not what their hash promises.
var ErrMismatch = errors.New("contents are not what was promised")

// Small things are put together to batches, so that a job is worth its overhead and few pieces of the disk belong to two jobs. They
// shrink towards the end of the work, so that no worker has much left when the others are done.
const (
	leastBatch = 4 << 20
	mostBatch  = 64 << 20
)

// batches tells how much work the next batch is to hold.
type batches struct{ left int64 }

// full tells whether a batch of that cost is enough, and takes it off the work that is left if it is.
func (b *batches) full(cost int64) bool {
	share := b.left / int64(4*runtime.GOMAXPROCS(0))
	if cost < max(leastBatch, min(mostBatch, share)) {
		return false
	}
	b.left -= cost
	return true
}

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
		return p.pinned(b, func(h io.Writer) error { return w.Copy(b, nil, places, 1, h) })
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

// items makes jobs for the store items of a region, small ones several together.
func (p *planner) items(t target) {
	var group []*Item
	cost := int64(0)
	flush := func() {
		items := group
		if len(items) > 0 {
			p.add(cost, func(ctx context.Context, w *stream.Worker) error { return p.copyItems(ctx, w, t, items) })
		}
		group, cost = nil, 0
	}
	items := t.inOrder()
	work := batches{}
	costs := make([]int64, len(items))
	for i, item := range items {
		costs[i] = p.announce(t, item.Node)
		work.left += costs[i]
	}
	for i, item := range items {
		group, cost = append(group, item), cost+costs[i]
		if work.full(cost) {
			flush()
		}
	}
	flush()
}

// inOrder gives the items in the order of the tree, which is that of the disk.
func (t target) inOrder() []*Item {
	return slices.SortedFunc(slices.Values(t.region.Partition.Items), func(a, b *Item) int { return cmp.Compare(a.Node.ID(), b.Node.ID()) })
}

// announce counts what will be written of a node and all below it, and gives the cost.
func (p *planner) announce(t target, n *tree.Node) (cost int64) {
	if n.Kind() == tree.File {
		p.scratch = t.places(p.scratch[:0], n)
		p.expect(p.scratch)
		if b := n.Blob(); p.carrier[b] == nil && p.further[b] != nil {
			p.carrier[b] = n
			p.expect(p.further[b])
		}
		return n.Size() + stream.FileCost
	}
	for _, c := range n.Children() {
		cost += p.announce(t, c)
	}
	return cost
}

// places adds where a file lies in the disk.
func (t target) places(list []stream.Place, n *tree.Node) []stream.Place {
	if t.placer == nil {
		return list
	}
	return at(t.region, t.placer.Place(list, n))
}

// files makes jobs for what the region holds besides store items, several files together.
func (p *planner) files(t target) {
	var group []*tree.Node
	cost := int64(0)
	flush := func() {
		if nodes := group; len(nodes) > 0 {
			p.add(cost, func(ctx context.Context, w *stream.Worker) error { return p.copyFiles(ctx, w, t, nodes) })
		}
		group, cost = nil, 0
	}
	for n := range t.region.besides() {
		group, cost = append(group, n), cost+p.announce(t, n)
		if cost >= leastBatch {
			flush()
		}
	}
	flush()
}

// besides yields the files of a region that are in no store item.
func (r *Region) besides() iter.Seq[*tree.Node] {
	items := make(map[*tree.Node]bool, len(r.Partition.Items))
	for _, item := range r.Partition.Items {
		items[item.Node] = true
	}
	return func(yield func(*tree.Node) bool) {
		var walk func(n *tree.Node) bool
		walk = func(n *tree.Node) bool {
			if items[n] {
				return true
			}
			if n.Kind() == tree.File && !yield(n) {
				return false
			}
			for _, c := range n.Children() {
				if !walk(c) {
					return false
				}
			}
			return true
		}
		walk(r.Partition.Spec.Tree.Root())
	}
}

func (p *planner) copyFiles(ctx context.Context, w *stream.Worker, t target, nodes []*tree.Node) error {
	c := copier{p: p, w: w, t: t}
	for _, n := range nodes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.pinned(n.Blob(), func(h io.Writer) error { return c.file(n, h) }); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) copyItems(ctx context.Context, w *stream.Worker, t target, items []*Item) error {
	c := copier{p: p, w: w, t: t, narHash: sha256.New()}
	for _, item := range items {
		if err := c.item(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

// copier moves the items of one job.
type copier struct {
	p       *planner
	w       *stream.Worker
	t       target
	narHash hash.Hash
	places  []stream.Place
}

// item moves one item, and compares its NAR hash with the one that it was registered with.
func (c *copier) item(ctx context.Context, item *Item) error {
	if !c.p.verify {
		return c.each(ctx, item.Node)
	}
	c.narHash.Reset()
	err := nar.Write(c.narHash, item.Node, func(h io.Writer, n *tree.Node) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return c.file(n, h)
	})
	if err != nil {
		return fmt.Errorf("%v: %w", item.Info.Path, err)
	}
	if got := nar.Digest(c.narHash.Sum(nil)); got != item.Info.NARHash {
		return &HashMismatch{Path: item.Info.Path, Registered: item.Info.NARHash, Found: got}
	}
	return nil
}

// each moves the files of an item when nothing is hashed.
func (c *copier) each(ctx context.Context, n *tree.Node) error {
	if n.Kind() == tree.File {
		return c.file(n, nil)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, k := range n.Children() {
		if err := c.each(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// file moves one file. A further name of a file is only hashed: its content is written once.
func (c *copier) file(n *tree.Node, h io.Writer) error {
	b := n.Inode().Blob()
	if n.Kind() == tree.Link {
		return c.w.Copy(b, nil, nil, 1, h)
	}
	var more []stream.Place
	if c.p.carrier[b] == n {
		more = c.p.further[b]
	}
	c.places = c.t.places(c.places[:0], n)
	return c.w.Copy(b, c.places, more, c.t.block, h)
}

// A HashMismatch is an item whose content has another NAR hash than its registration.
type HashMismatch struct {
	Path              closure.Path
	Registered, Found nar.Digest
}

// Error implements error.
func (m *HashMismatch) Error() string {
	return fmt.Sprintf("%v has changed: its NAR hash is sha256:%s, but it is registered with sha256:%s",
		m.Path, nar.EncodeBase32(m.Found[:]), nar.EncodeBase32(m.Registered[:]))
}

// Unwrap makes it match ErrMismatch.
func (m *HashMismatch) Unwrap() error { return ErrMismatch }
