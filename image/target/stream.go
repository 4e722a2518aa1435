package target

import (
	"context"
	"io"

	"imprint/closure"
	"imprint/closure/export"
)

// A Stream is an export stream, as nix-store --export writes it. It lacks everything, and takes one Put.
type Stream struct {
	W    io.Writer
	Name string // in messages
}

// String returns the name.
func (s *Stream) String() string { return s.Name }

// Lacking implements [Target].
func (s *Stream) Lacking(_ context.Context, paths []closure.Path) ([]closure.Path, error) {
	return paths, nil
}

// Put implements [Target].
func (s *Stream) Put(ctx context.Context, items []closure.Item, p *Progress) error {
	w := export.NewWriter(s.W)
	for _, item := range items {
		if err := s.put(ctx, w, item, p); err != nil {
			return err
		}
	}
	return w.Close()
}

// put writes an item. If its contents are not those that are registered, that shows only at their end.
func (s *Stream) put(ctx context.Context, w *export.Writer, item closure.Item, p *Progress) error {
	info := item.Info
	record := export.Item{Path: info.Path.String(), Deriver: info.Deriver}
	for _, r := range info.References {
		record.References = append(record.References, r.String())
	}
	return w.AddArchive(record, func(to io.Writer) error {
		return archive(ctx, to, item, nil, p)
	})
}

var _ Target = (*Stream)(nil)
