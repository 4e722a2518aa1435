package write

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"imprint/image/plan"
	"imprint/internal/cpio"
	"imprint/internal/output"
	"imprint/internal/units"
	"imprint/partition"
)

// RootFile is the name of the root file system in an export, as an initrd.
const RootFile = "root.initrd"

// maxRoot is the maximum size of the contents of a root file system that becomes an initrd, in bytes: the machine holds it twice while it
// unpacks it.
const maxRoot = 2 << 30

// CheckRoot reports a layout whose root file system cannot be an initrd: it is too large, or has what an initrd cannot hold.
func CheckRoot(l *plan.Layout) error {
	root := mainRegion(l.Regions)
	if root == nil {
		return fmt.Errorf("there is no partition with files")
	}
	name, size := root.Partition.Spec.Name, int64(0) // with holes, which an archive does not have
	for n := range root.Tree.Nodes() {
		size += n.Size()
	}
	if size > maxRoot {
		return fmt.Errorf("partition %q has files of %s, and an initrd may have %s", name, units.FormatBytes(size), units.FormatBytes(maxRoot))
	}
	for _, r := range l.Regions {
		if r.In == root {
			return fmt.Errorf("partition %q has the file system %q in it", name, r.Partition.Spec.Name)
		}
	}
	if err := cpio.Check(root.Tree); err != nil {
		return fmt.Errorf("partition %q: %w", name, err)
	}
	return nil
}

// root writes the tree of the root file system as an initrd. Contents are verified as they pass.
func (e *Export) root(ctx context.Context, l *plan.Layout) error {
	out, err := output.Create(filepath.Join(e.dir, RootFile))
	if err != nil {
		return err
	}
	e.outputs = append(e.outputs, out)
	root := mainRegion(l.Regions)
	return feed(ctx, root, e.verify, &atomic.Int64{}, func(context.Context) (partition.Packer, error) {
		return cpio.NewWriter(out.File, root.Tree), nil
	})
}
