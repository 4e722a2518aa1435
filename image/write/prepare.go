package write

import (
	"context"
	"crypto/sha256"
	"io"
	"os"

	"imprint/image/plan"
	"imprint/image/seal"
	"imprint/internal/scratch"
	"imprint/internal/stream"
	"imprint/internal/tree"
	"imprint/partition"
)

// Prepared is a layout every byte of which can be read without writing the disk: what host tools make is made.
type Prepared struct {
	Plan   *plan.Plan
	Layout *plan.Layout
	Filled *os.File // of the size of the disk, with the regions that host tools fill and holes around them; nil if there are none

	made   *packed
	verify verifier
}

// Prepare makes what host tools make, in a scratch directory. A layout without such partitions is ready as it is, and nothing is written.
// The caller discards it.
//
// Errors match [ErrMismatch] if what a tool gets differs from its hash.
func Prepare(ctx context.Context, p *plan.Plan, l *plan.Layout) (_ *Prepared, err error) {
	v := verifier{ledger: newLedger([]stage{whole(l)}, Options{}, exported(p, Options{Export: true}), p.BootInputs)}
	r := &Prepared{Plan: p, made: &packed{}, verify: v}
	if r.made, r.Layout, err = packAll(ctx, p, l, v, Options{}); err != nil {
		return nil, err
	}
	if err := r.stages(ctx); err != nil {
		r.Discard()
		return nil, err
	}
	return r, nil
}

// stages makes everything. If a hash tree covers what a host tool makes, that comes first.
func (r *Prepared) stages(ctx context.Context) error {
	if r.Plan.Seal == nil {
		return r.fill(ctx, r.Layout.Regions)
	}
	if err := r.fill(ctx, split(r.Layout)[0].regions); err != nil {
		return err
	}
	trees, err := seal.Trees(ctx, r.Layout, r.Filled)
	if err != nil {
		return err
	}
	if r.Plan, r.Layout, err = sealed(ctx, r.Plan, trees, r.made.files); err != nil {
		return err
	}
	return r.fill(ctx, split(r.Layout)[1].regions)
}

// fill lets host tools fill these regions, each at its offset of a file as large as the disk.
func (r *Prepared) fill(ctx context.Context, regions []*plan.Region) (err error) {
	disk := &stream.Disk{Volume: stream.Volume{Size: r.Layout.Size}}
	jobs := &planner{disk: disk, told: disk, verify: r.verify, sizes: map[*stream.Volume]int64{}}
	for _, region := range regions {
		m, ok := region.Maker.(partition.HostMade)
		if !ok || region.In != nil {
			continue
		}
		if r.Filled == nil {
			if err := r.open(region); err != nil {
				return err
			}
		}
		disk.File = r.Filled
		jobs.host(region, m)
	}
	if len(jobs.jobs) == 0 {
		return nil
	}
	if err := enoughSpace(r.Filled, jobs.total+jobs.beside); err != nil {
		return err
	}
	return jobs.disk.Run(ctx, jobs.jobs)
}

func (r *Prepared) open(region *plan.Region) (err error) {
	if r.made.dir == nil {
		if r.made.dir, err = scratch.Dir(region.Partition.Spec.Scratch); err != nil {
			return err
		}
	}
	if r.Filled, err = os.CreateTemp(r.made.dir.Path, ""); err != nil {
		return err
	}
	return r.Filled.Truncate(r.Layout.Size)
}

// Boot writes the boot files to a directory, as [Result.Boot] does.
func (r *Prepared) Boot(ctx context.Context, dir string) (*Export, error) {
	return (&Result{ledger: r.verify.ledger}).Boot(ctx, r.Plan, dir, false)
}

// Item reads a store item and verifies it. move copies the content of each file, in the order of a NAR and including further names of a file,
// and writes it to h too. Errors are those of [CheckItem].
func (r *Prepared) Item(ctx context.Context, item *plan.Item, move func(n *tree.Node, h io.Writer) error) error {
	return r.verify.item(ctx, item, sha256.New(), move)
}

// Content reads a content and compares it with its pin, and with earlier reads, where there are any. move copies the content, and writes it to h
// too unless h is nil. Errors match [ErrMismatch].
func (r *Prepared) Content(b tree.Blob, move func(h io.Writer) error) error {
	return r.verify.content(b, move)
}

// Discard removes what was made.
func (r *Prepared) Discard() {
	if r.Filled != nil {
		r.Filled.Close()
	}
	r.made.remove()
}

// CheckItem reads a store item and compares it with the NAR hash that it is registered with. Errors match [ErrMismatch] if they differ,
// and [tree.ErrChanged] if a file changes while it is read.
func CheckItem(ctx context.Context, item *plan.Item) error {
	buf := make([]byte, 256<<10)
	return verifier{}.item(ctx, item, sha256.New(), func(n *tree.Node, h io.Writer) error {
		return tree.Copy(ctx, h, n.Inode().Blob(), buf)
	})
}

// CheckPinned reads a content and compares it with its pin, if it has one. Errors are those of [CheckItem].
func CheckPinned(ctx context.Context, b tree.Blob) error {
	return verifier{}.content(b, func(h io.Writer) error {
		if h == nil {
			return nil
		}
		return tree.Copy(ctx, h, b, nil)
	})
}
