package generation

import (
	"context"

	"imprint/internal/extent"
	"imprint/internal/objects"
	"imprint/internal/tree"
)

// Structure opens the disk for reading its structure, which is compared with its digests first. In place of files there are zeros, and they may be
// gone from the build store. Errors match [objects.ErrDamaged] or [objects.ErrMissing].
func (o *Output) Structure(ctx context.Context) (tree.Reader, error) {
	blobs := map[int]tree.Blob{}
	for i, c := range o.Recipe.Contents {
		if c.Key != "" && !c.Meta {
			continue
		}
		b, err := o.Contents.Get(c.Digest, c.Size, nil)
		if err == nil {
			err = objects.Verify(ctx, b)
		}
		if err != nil {
			return nil, err
		}
		blobs[i] = b
	}
	var list extent.List
	for _, r := range o.Recipe.Runs {
		if b := blobs[r.Content]; b != nil {
			list = append(list, extent.Extent{Off: r.Off, Len: r.Len, Blob: b, At: r.At})
		}
	}
	return extent.NewBlob(list, o.Recipe.Size).Open()
}
