package write

import (
	"context"
	"io"

	"imprint/internal/processors"
	"imprint/internal/stream"

	"golang.org/x/sync/errgroup"
)

// Digest is the image digest of a finished image of size bytes, as [Image] computes it: several pieces at a time.
func Digest(ctx context.Context, image io.ReaderAt, size int64) (string, error) {
	pieces := stream.NewPieces(size)
	pieces.Expect(0, size)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(processors.Count())
	for off := int64(0); off < size; off += stream.PieceSize {
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
