package write

import (
	"context"
	"fmt"
	"os"

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

// packAll has host tools pack the file systems that they pack. This happens before anything is written to the disk, since the
// layout depends on their sizes.
func packAll(ctx context.Context, l *plan.Layout, v verifier) (*packed, error) {
	p := &packed{files: plan.Made{}}
	for _, r := range l.Regions {
		m, ok := r.Maker.(partition.Packed)
		if !ok {
			continue
		}
		if err := p.pack(ctx, r, m, v); err != nil {
			p.remove()
			return nil, fmt.Errorf("make partition %q: %w", r.Partition.Spec.Name, err)
		}
	}
	return p, nil
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
