// Package seal computes the dm-verity hash trees of a disk that is not written: it reads the partitions that they cover. A build does not need
// it, since it gets the hashes of all blocks while it writes them.
package seal

import (
	"context"
	"io"

	"imprint/image/plan"
	"imprint/internal/extent"
	"imprint/internal/processors"
	"imprint/internal/units"
	"imprint/internal/verity"

	"golang.org/x/sync/errgroup"
)

// Trees returns the hash trees of the partitions of a layout, by the names of what they cover. filled has, at their offsets, the regions that
// host tools have filled; it is nil if there are none.
func Trees(ctx context.Context, l *plan.Layout, filled io.ReaderAt) (map[string]verity.Tree, error) {
	all := map[string]verity.Tree{}
	for _, r := range l.Regions {
		if r.Partition.Verity == "" {
			continue
		}
		leaves, err := read(ctx, content(r, filled), r.Size)
		if err != nil {
			return nil, err
		}
		all[r.Partition.Spec.Name] = verity.NewTree(leaves)
	}
	return all, nil
}

// A source is the content of a region: ranges of data, and how to read them.
type source struct {
	ranges extent.Source
	read   func(p []byte, off int64) error
}

func content(r *plan.Region, filled io.ReaderAt) source {
	if r.MadeByHost() {
		whole := extent.List{{Len: r.Size}}
		return source{whole, func(p []byte, off int64) error {
			_, err := filled.ReadAt(p, r.Offset+off)
			return err
		}}
	}
	flat := extent.Flatten(r.Maker)
	return source{flat, func(p []byte, off int64) error { return extent.ReadAt(flat, p, off) }}
}

// piece is the number of bytes that are read at once.
const piece = 4 * units.MiB

// read returns the digests of all blocks of size bytes, of which only the data is read.
func read(ctx context.Context, src source, size int64) ([]verity.Hash, error) {
	leaves := make([]verity.Hash, size/verity.BlockSize)
	verity.Zeros(leaves)
	group, failed := errgroup.WithContext(ctx)
	group.SetLimit(processors.Count())
	next := int64(0) // the first byte that no piece has
	for e := range src.ranges.Extents(0) {
		for next = max(next, e.Off/piece*piece); next < min(e.End(), size) && failed.Err() == nil; next += piece {
			off := next
			group.Go(func() error {
				data := make([]byte, min(piece, size-off))
				if err := src.read(data, off); err != nil {
					return err
				}
				verity.Leaves(data, leaves[off/verity.BlockSize:][:len(data)/verity.BlockSize])
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return leaves, ctx.Err()
}
