package generation

import (
	"context"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// Structure opens the disk for reading its structure, which is compared with its digests first. Files are there, but were not compared. Errors match
// [objects.ErrDamaged].
func (o *Output) Structure(ctx context.Context) (tree.Reader, error) {
	d, err := o.disk()
	if err != nil {
		return nil, err
	}
	structure := map[int]bool{}
	for i, c := range o.Recipe.Contents {
		if c.Key == "" {
			structure[i] = true
		}
	}
	if err := o.verify(ctx, structure, func(_ int, err error) error { return err }); err != nil {
		return nil, err
	}
	return extent.NewBlob(d.Disk.Source, d.Size).Open()
}
