package mke2fs

import (
	"context"
	"io"

	"imprint/internal/tree"
)

// Make makes the file system of all nodes and their contents.
func (p *Plan) Make(ctx context.Context, file string, offset int64) error {
	w, err := p.Begin(ctx, file, offset)
	if err != nil {
		return err
	}
	for path, n := range p.tree.Walk() {
		if err := w.Add(path, n, func(to io.Writer) error { return tree.Copy(ctx, to, n.Blob(), nil) }); err != nil {
			w.Close()
			return err
		}
	}
	return w.Close()
}
