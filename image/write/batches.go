package write

import (
	"cmp"
	"context"
	"hash"
	"io"
	"iter"
	"math"
	"slices"

	"imprint/image/plan"
	"imprint/internal/extent"
	"imprint/internal/processors"
	"imprint/internal/sha256pair"
	"imprint/internal/stream"
	"imprint/internal/tree"
	"imprint/partition"
)

// A job covers several small files, so that it is worth its overhead and few 4 MiB pieces of the disk are shared by two jobs.
// Batches shrink towards the end of the work, so that no worker has much left to do when the others are done. (Both in bytes
// of cost, which adds [stream.FileCost] for each file.)
const (
	leastBatch = 4 << 20
	mostBatch  = 64 << 20
)

// batches decides when a batch has enough work. left is the cost that is not in any batch yet.
type batches struct{ left int64 }

// full reports whether a batch of that cost is large enough, and if so subtracts it from what is left. A quarter of an equal
// share for each worker leaves room to balance jobs that take longer than their cost suggests.
func (b *batches) full(cost int64) bool {
	share := b.left / int64(4*processors.Count())
	if cost < max(leastBatch, min(mostBatch, share)) {
		return false
	}
	b.left -= cost
	return true
}

// items makes jobs for the store items of a region, in the order of the tree. That is also their order on the disk, so that a
// job writes one contiguous range.
func (p *planner) items(r *plan.Region) {
	items := slices.SortedFunc(slices.Values(r.Partition.Items), func(a, b *plan.Item) int { return cmp.Compare(a.Node.ID(), b.Node.ID()) })
	costs, lows, work := make([]int64, len(items)), make([]int64, len(items)), batches{}
	for i, item := range items {
		p.low = math.MaxInt64
		costs[i], lows[i] = p.announce(r, item.Node), p.low
		work.left += costs[i]
	}
	first, cost := 0, int64(0)
	flush := func(end int) {
		if group := items[first:end]; len(group) > 0 {
			p.low = slices.Min(lows[first:end])
			p.add(cost, func(ctx context.Context, w *stream.Worker) error { return p.copyItems(ctx, w, r, group) })
		}
		first, cost = end, 0
	}
	for i := range items {
		if cost += costs[i]; work.full(cost) {
			flush(i + 1)
		}
	}
	flush(len(items))
}

// files makes jobs for the files of the region outside of store items.
func (p *planner) files(r *plan.Region) {
	var group []*tree.Node
	cost := int64(0)
	flush := func() {
		if nodes := group; len(nodes) > 0 {
			p.add(cost, func(ctx context.Context, w *stream.Worker) error { return p.copyFiles(ctx, w, r, nodes) })
		}
		group, cost = nil, 0
	}
	for n := range besides(r) {
		if isRegion(n) || p.patched(r, n) {
			continue
		}
		group, cost = append(group, n), cost+p.announce(r, n)
		if cost >= leastBatch {
			flush()
		}
	}
	flush()
}

// announce counts the bytes that will be written for a node and everything below it, and returns the cost. Every byte must be
// announced before the first job runs: the digest of a piece is computed when the last byte expected in it has been written.
func (p *planner) announce(r *plan.Region, n *tree.Node) (cost int64) {
	if n.Kind() == tree.File {
		p.scratch = p.archives.places(p.onDisk(p.scratch[:0], r, n), r, n)
		p.expect(p.scratch)
		if b := n.Blob(); p.carrier[b] == nil && p.further[b] != nil {
			p.carrier[b] = n
			p.expect(p.further[b])
		}
		return n.Size() + stream.FileCost
	}
	for _, c := range n.Children() {
		cost += p.announce(r, c)
	}
	return cost
}

// besides yields the files of a region that are in no store item.
func besides(r *plan.Region) iter.Seq[*tree.Node] {
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
		walk(r.Tree.Root())
	}
}

func (p *planner) copyItems(ctx context.Context, w *stream.Worker, r *plan.Region, items []*plan.Item) error {
	c := newCopier(p, w, r)
	for i, item := range items {
		ahead(ctx, items[i:min(i+1+asked, len(items))])
		if err := p.verify.item(ctx, item, c.narHash, c.file); err != nil {
			return err
		}
	}
	return nil
}

// asked is the number of items after the one that is written for which a server is asked ahead.
const asked = 4

// ahead says that items will be written soon.
func ahead(ctx context.Context, items []*plan.Item) {
	for _, item := range items {
		if item.Stream != nil {
			item.Stream.Ahead(ctx)
		}
	}
}

func (p *planner) copyFiles(ctx context.Context, w *stream.Worker, r *plan.Region, nodes []*tree.Node) error {
	c := newCopier(p, w, r)
	for _, n := range nodes {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := p.verify.content(n.Blob(), func(h io.Writer) error { return c.file(n, h) }); err != nil {
			return err
		}
	}
	return nil
}

// A copier copies the files of one job.
type copier struct {
	p       *planner
	w       *stream.Worker
	region  *plan.Region
	grain   int64 // bytes
	narHash hash.Hash
	places  []extent.Extent
	further []extent.Extent
}

func newCopier(p *planner, w *stream.Worker, r *plan.Region) *copier {
	c := &copier{p: p, w: w, region: r, grain: 1, narHash: sha256pair.New()}
	if m, ok := r.Maker.(partition.Placer); ok {
		c.grain = m.Grain()
	}
	return c
}

// file copies one file. A further name of a file is only hashed, since the NAR has its content once more but the disk does
// not. If another region holds the same content, it is written there from the same read.
func (c *copier) file(n *tree.Node, h io.Writer) error {
	b := n.Inode().Blob()
	if n.Kind() == tree.Link {
		return c.w.Copy(b, stream.To{Grain: 1, Hash: h})
	}
	to := stream.To{Grain: c.grain, Hash: h}
	c.further = c.p.archives.places(c.further[:0], c.region, n)
	if c.p.carrier[b] == n {
		c.further = append(c.further, c.p.further[b]...)
	}
	c.places = c.p.onDisk(c.places[:0], c.region, n)
	to.Places, to.Further = c.places, c.further
	return c.w.Copy(b, to)
}
