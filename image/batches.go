package image

import (
	"cmp"
	"context"
	"io"
	"iter"
	"slices"

	"imprint/internal/processors"
	"imprint/internal/stream"
	"imprint/internal/tree"
)

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
	share := b.left / int64(4*processors.Count())
	if cost < max(leastBatch, min(mostBatch, share)) {
		return false
	}
	b.left -= cost
	return true
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
