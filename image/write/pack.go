package write

import (
	"context"
	"fmt"
	"os"
	"slices"

	"imprint/image/plan"
	"imprint/internal/hosttree"
	"imprint/internal/scratch"
	"imprint/partition"
)

// packed holds the file systems that host tools have packed, as files in a scratch directory beside the image.
type packed struct {
	files plan.Made
	dir   *scratch.Directory // nil if there are none
}

func (p *packed) remove() {
	if p.dir != nil {
		p.dir.Remove()
	}
}

// packAll has host tools pack the file systems that they pack, and returns the layout with them. This happens before anything
// is written to the disk, since the layout depends on their sizes. A file system that is a file of another comes first.
func packAll(ctx context.Context, p *plan.Plan, l *plan.Layout, v verifier) (*packed, *plan.Layout, error) {
	all := &packed{files: plan.Made{}}
	for {
		next := packable(l)
		if len(next) == 0 {
			return all, l, nil
		}
		for _, r := range next {
			if err := all.pack(ctx, r, r.Maker.(partition.Packed), v); err != nil {
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

// packable are the regions that can be packed now: all that lies in them is there.
func packable(l *plan.Layout) (list []*plan.Region) {
	waits := map[*plan.Region]bool{}
	for _, r := range l.Regions {
		if _, ok := r.Maker.(partition.Packed); !ok {
			continue
		}
		list = append(list, r)
		for in := r.In; in != nil; in = in.In {
			waits[in] = true
		}
	}
	return slices.DeleteFunc(list, func(r *plan.Region) bool { return waits[r] })
}

func (p *packed) pack(ctx context.Context, r *plan.Region, m partition.Packed, v verifier) (err error) {
	if p.dir == nil {
		if p.dir, err = scratch.Dir(r.Partition.Spec.Scratch); err != nil {
			return err
		}
	}
	file, err := os.CreateTemp(p.dir.Path, "")
	if err != nil {
		return err
	}
	file.Close()
	err = feed(ctx, r, v, func(ctx context.Context) (partition.Packer, error) { return m.Pack(ctx, file.Name()) })
	if err != nil {
		return err
	}
	p.files[r.Partition], err = hosttree.File(file.Name())
	return err
}
