package write

import (
	"context"
	"io"

	"imprint/internal/processors"
	"imprint/internal/stream"

	"golang.org/x/sync/errgroup"
)

// Digest is the image digest of a finished image of size bytes, as [Image] computes it: several pieces at a time. An image with a method
// NextData, which returns the offset of the first byte from an offset on that may be another one than zero, is not read in its holes.
func Digest(ctx context.Context, image io.ReaderAt, size int64) (string, error) {
	pieces := stream.NewPieces(size)
	next := func(off int64) int64 { return off }
	if sparse, ok := image.(interface{ NextData(off int64) int64 }); ok {
		next = sparse.NextData
	}
	var list []int64 // offsets of the pieces that are read
	for off := next(0); off < size; off = next(off + stream.PieceSize) {
		off -= off % stream.PieceSize
		pieces.Expect(off, min(stream.PieceSize, size-off))
		list = append(list, off)
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
