package partition

import (
	"context"
	"iter"

	"imprint/internal/extent"
	"imprint/internal/units"
	"imprint/partition/squashfs"
)

var squashfsFilesystem = Filesystem{
	Name: "squashfs", Store: true, Owners: true, Inside: true,
	Refuses: map[string]string{
		"content": contentHint, "engine": "", "features": "", "label": "squashfs has none", "uuid": "squashfs has none",
		"free": "nothing is written to a squashfs",
	},
	Carries: squashfs.Check,
	plan: func(s Spec) (Maker, error) {
		if err := squashfs.Check(s.Tree); err != nil {
			return nil, err
		}
		return packed{s}, nil
	},
}

// A Packed is a Maker whose content a host tool packs into a file of its own, from nodes that it is given one after another. Until then
// Size is a bound, and its extents are not known.
type Packed interface {
	Maker
	// Pack starts a file system in the file of that name, which is empty. Its nodes are added in the order of the tree.
	Pack(ctx context.Context, file string) (Packer, error)
}

// packed is a squashfs in our terms.
type packed struct{ spec Spec }

// Bounds of a squashfs in bytes: contents that do not shrink are stored as they are, and the rest is an inode and a name for each node.
const (
	squashBlock   = 4 * units.KiB // what the image is padded to
	squashPerNode = 512
	squashFixed   = units.MiB
)

// Size is the most that the file system takes, in bytes.
func (p packed) Size() int64 {
	size := int64(squashFixed)
	for n := range p.spec.Tree.Nodes() {
		size += squashPerNode + n.Size()
	}
	return max(units.Align(size, squashBlock), p.spec.Size, p.spec.MinSize)
}

// Extents implements extent.Source: nothing is known yet.
func (packed) Extents(int64) iter.Seq[extent.Extent] { return extent.List(nil).Extents(0) }

// Stats implements Describer.
func (p packed) Stats() Stats { return Stats{Inodes: int64(p.spec.Tree.Len())} }

// Pack implements Packed.
func (p packed) Pack(ctx context.Context, file string) (Packer, error) {
	return squashfs.Create(ctx, file, p.spec.Tree.Root().Attr, p.spec.Epoch)
}
