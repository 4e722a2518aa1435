package write

import (
	"context"
	"io"

	"imprint/internal/processors"
	"imprint/internal/stream"

	"golang.org/x/sync/errgroup"
)

// Digest is the image digest of a finished image of size bytes, as [Image] computes it: several pieces at a time. An image with a method
// Data, such as an image in a format with holes, is not read where it has holes.
func Digest(ctx context.Context, image io.ReaderAt, size int64) (string, error) {
	pieces := stream.NewPieces(size)
	var list []int64 // offsets of the pieces that are read
	for off := int64(0); off < size; off += stream.PieceSize {
		n := min(stream.PieceSize, size-off)
		if hole, err := isHole(image, off, n); err != nil {
			return "", err
		} else if !hole {
			pieces.Expect(off, n)
			list = append(list, off)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(processors.Count())
	for _, off := range list {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return pieces.Made(off, min(stream.PieceSize, size-off), image)
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	return pieces.Sum().String(), nil
}

// isHole reports whether an image knows that n bytes at off are zeros.
func isHole(image io.ReaderAt, off, n int64) (bool, error) {
	sparse, ok := image.(interface {
		Data(off int64) (n int64, data bool, err error)
	})
	for end := off + n; ok && off < end; {
		k, data, err := sparse.Data(off)
		if err != nil || data {
			return false, err
		}
		off += k
	}
	return ok, nil
}
