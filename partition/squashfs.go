package partition

import (
	"context"
	"iter"

	"imprint/internal/extent"
	"imprint/internal/units"
	"imprint/partition/squashfs"
)

var squashfsFilesystem = Filesystem{
	Name: "squashfs", Store: true, Owners: true, Inside: true, MountType: "squashfs",
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

// A Packed is a Maker whose content a host tool packs into a file of its own, from nodes passed one by one. Until then Size is
// an upper bound, and it has no extents.
type Packed interface {
	Maker
	// Pack starts a file system in the named, empty file. Nodes are added in the order of the tree.
	Pack(ctx context.Context, file string) (Packer, error)
}

// packed adapts a squashfs to this package's interfaces.
type packed struct{ spec Spec }

// Upper bounds for a squashfs in bytes: content that does not shrink is stored uncompressed, and the rest is an inode and a
// name for each node.
const (
	squashBlock   = 4 * units.KiB // the image is padded to a multiple
	squashPerNode = 512
	squashFixed   = units.MiB
)

// Size is an upper bound of the size in bytes.
func (p packed) Size() int64 {
	size := int64(squashFixed)
	for n := range p.spec.Tree.Nodes() {
		size += squashPerNode + n.Size()
	}
	return max(units.Align(size, squashBlock), p.spec.Size, p.spec.MinSize)
}

// Extents implements extent.Source. Nothing is known yet.
func (packed) Extents(int64) iter.Seq[extent.Extent] { return extent.List(nil).Extents(0) }

// Stats implements Describer.
func (p packed) Stats() Stats { return Stats{Inodes: int64(p.spec.Tree.Len())} }

// Pack implements Packed.
func (p packed) Pack(ctx context.Context, file string) (Packer, error) {
	return squashfs.Create(ctx, file, p.spec.Tree.Root().Attr, p.spec.Epoch)
}
