package partition

import (
	"cmp"
	"context"
	"io"
	"iter"

	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition/squashfs"
)

var squashfsFilesystem = Filesystem{
	Name: "squashfs", Packed: true, Store: true, Owners: true, Inside: true, MountType: "squashfs",
	Refuses: map[string]string{
		"content": contentHint, "engine": "", "features": "", "label": "squashfs has none", "uuid": "squashfs has none",
		"free": "nothing is written to a squashfs",
	},
	Compressors: squashfsCompressors(),
	Blocks:      [2]int64{squashfs.MinBlock, squashfs.MaxBlock},
	Carries:     squashfs.Check,
	probe:       func(head []byte) bool { return has(head, 0, squashfs.Magic) },
	open: func(r io.ReaderAt, size int64, omit []string) (*Volume, error) {
		v, err := squashfs.ReadPart(r, size, omit...)
		if err != nil {
			return nil, err
		}
		return &Volume{
			Tree: v.Tree, Size: v.Size, Stats: Stats{Exact: true, BlockSize: v.BlockSize, Inodes: v.Inodes}, Features: []string{v.Compression},
			Check: v.Check, Explain: v.Explain,
		}, nil
	},
	plan: func(s Spec) (Maker, error) {
		if err := squashfs.Check(s.Tree); err != nil {
			return nil, err
		}
		return packed{s}, nil
	},
}

func squashfsCompressors() (list []Compressor) {
	for _, c := range squashfs.Compressors {
		list = append(list, Compressor(c))
	}
	return list
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
// name for each node, and a number for each block.
const (
	squashGrain    = 4 * units.KiB // the image is padded to a multiple
	squashPerNode  = 512
	squashPerBlock = 4
	squashFixed    = units.MiB
)

// Size is an upper bound of the size in bytes.
func (p packed) Size() int64 {
	size := int64(squashFixed)
	for n := range p.spec.Tree.Nodes() {
		size += squashPerNode + p.stored(n)
		if n.Kind() != tree.Link {
			size += xattrBytes(n)
		}
	}
	return max(units.Align(size, squashGrain), p.spec.Size, p.spec.MinSize)
}

// stored is an upper bound of what a node takes besides its inode and its name. Holes are left out as far as they are whole blocks.
func (p packed) stored(n *tree.Node) (sum int64) {
	if n.Kind() != tree.File {
		return n.Size()
	}
	block := cmp.Or(p.spec.Packing.Block, squashfs.DefaultBlock)
	for _, r := range tree.DataOf(n.Blob()) {
		sum += units.Align(r.End(), block) - r.Off&^(block-1)
	}
	return min(sum, n.Size()) + n.Size()/block*squashPerBlock
}

// xattrBytes is an upper bound of what the extended attributes of a node take.
func xattrBytes(n *tree.Node) (sum int64) {
	const each = 64
	for _, x := range n.Attr.Xattrs {
		sum += each + int64(len(x.Name)+len(x.Value))
	}
	return sum
}

// Extents implements extent.Source. Nothing is known yet.
func (packed) Extents(int64) iter.Seq[extent.Extent] { return extent.List(nil).Extents(0) }

// Stats implements Describer.
func (p packed) Stats() Stats { return Stats{Inodes: int64(p.spec.Tree.Len())} }

// Pack implements Packed.
func (p packed) Pack(ctx context.Context, file string) (Packer, error) {
	o := squashfs.Options{Made: p.spec.Epoch, Compression: p.spec.Packing.Compressor, Level: p.spec.Packing.Level, BlockSize: p.spec.Packing.Block}
	return squashfs.Create(ctx, file, p.spec.Tree, o)
}
