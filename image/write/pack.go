package write

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync/atomic"

	"imprint/image/plan"
	"imprint/internal/hosttree"
	"imprint/internal/scratch"
	"imprint/internal/stream"
	"imprint/internal/tree"
	"imprint/partition"
)

// packed holds the file systems that have to be made before the others, as files in a scratch directory beside the image.
type packed struct {
	files   plan.Made
	dir     *scratch.Directory // nil if there are none
	options Options
}

func (p *packed) remove() {
	if p.dir != nil {
		p.dir.Remove()
	}
}

// packAll makes the file systems that have to be there before anything is written to the disk, and returns the layout with
// them: those that host tools pack, since the layout depends on their sizes, and those that host tools get as files, so that
// what they get has been verified. A file system that is a file of another comes first.
func packAll(ctx context.Context, p *plan.Plan, l *plan.Layout, v verifier, o Options) (*packed, *plan.Layout, error) {
	all := &packed{files: plan.Made{}, options: o}
	for {
		next := all.packable(l)
		if len(next) == 0 {
			return all, l, nil
		}
		for _, r := range next {
			if err := all.pack(ctx, l, r, v); err != nil {
				all.remove()
				return nil, nil, fmt.Errorf("make partition %q: %w", r.Partition.Spec.Name, err)
			}
		}
		var err error
		if l, err = p.Layout(all.files); err != nil {
			all.remove()
			return nil, nil, err
		}
	}
}

// packable returns the regions that can be made now: everything inside them is made.
func (p *packed) packable(l *plan.Layout) (list []*plan.Region) {
	waits := map[*plan.Region]bool{}
	for _, r := range l.Regions {
		_, byTool := r.Maker.(partition.Packed)
		forTool := r.In != nil && r.In.MadeByHost() && p.files[r.Partition] == nil
		if !byTool && !forTool || p.options.noDisk() && !(byTool && p.options.archives(r.In)) {
			continue
		}
		list = append(list, r)
		for in := r.In; in != nil; in = in.In {
			waits[in] = true
		}
	}
	return slices.DeleteFunc(list, func(r *plan.Region) bool { return waits[r] })
}

// pack makes a file system into a file of its own.
func (p *packed) pack(ctx context.Context, l *plan.Layout, r *plan.Region, v verifier) (err error) {
	if p.dir == nil {
		if p.dir, err = scratch.Dir(r.Partition.Spec.Scratch); err != nil {
			return err
		}
	}
	file, err := os.CreateTemp(p.dir.Path, "")
	if err != nil {
		return err
	}
	defer file.Close()
	if m, ok := r.Maker.(partition.Packed); ok {
		fed := &atomic.Int64{}
		p.meter(r, fed, contentBytes(r))
		err = feed(ctx, r, v, fed, func(ctx context.Context) (partition.Packer, error) { return m.Pack(ctx, file.Name()) })
	} else {
		err = p.fill(ctx, file, l, r, v)
	}
	if err == nil {
		p.files[r.Partition], err = hosttree.File(file.Name())
	}
	return err
}

// fill writes a region to an empty file, as if it were a disk.
func (p *packed) fill(ctx context.Context, file *os.File, all *plan.Layout, r *plan.Region, v verifier) error {
	disk, l := &stream.Disk{Volume: stream.Volume{File: file, Size: r.Size}}, all.Alone(r)
	if err := disk.File.Truncate(l.Size); err != nil {
		return err
	}
	jobs := newPlanner(planner{disk: disk, verify: v}, whole(l))
	if err := enoughSpace(disk.File, jobs.total); err != nil {
		return err
	}
	p.meter(r, &disk.Bytes, jobs.total)
	return disk.Run(ctx, jobs.jobs)
}

// meter shows the progress of one region.
func (p *packed) meter(r *plan.Region, done *atomic.Int64, total int64) {
	if p.options.Progress != nil {
		// Zeros that are read to find where they end count as data.
		p.options.Progress(&Meter{written: func() int64 { return min(done.Load(), total) }, Total: total, Packs: r.Partition.Spec.Name})
	}
}

// contentBytes is the sum of the sizes of all files of a region without their holes, each counted once.
func contentBytes(r *plan.Region) (sum int64) {
	for n := range r.Tree.Nodes() {
		if n.Kind() != tree.File {
			continue
		}
		for _, r := range tree.DataOf(n.Blob()) {
			sum += r.Len
		}
	}
	return sum
}
