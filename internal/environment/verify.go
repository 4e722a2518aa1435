package environment

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"imprint/internal/objects"
	"imprint/internal/tree"
)

// Verify reads everything that environments lead to, and calls report for whatever is missing or damaged. It returns how many links, records and contents it
// has read.
func (s *Store) Verify(ctx context.Context, report func(error)) (read int, err error) {
	all, err := s.List()
	if err != nil {
		return 0, err
	}
	seen := map[objects.Digest]bool{}
	for _, e := range all {
		for _, tag := range slices.Sorted(maps.Keys(e.Tags)) {
			stack, err := s.Stack(e.Tags[tag])
			if err != nil {
				report(fmt.Errorf("%s %s: %w", e.Name, tag, err))
				continue
			}
			for _, link := range stack {
				if ctx.Err() != nil {
					return 0, context.Cause(ctx)
				}
				if seen[link.Pin] {
					continue
				}
				seen[link.Pin] = true
				s.verifyLayer(ctx, seen, link.Layer, func(err error) { report(fmt.Errorf("%s %s: %w", e.Name, tag, err)) })
			}
		}
	}
	return len(seen), context.Cause(ctx)
}

// VerifyLayer reads a layer with its contents, and calls report for whatever is missing or damaged. seen has what was read before, and gets what is read.
func (s *Store) VerifyLayer(ctx context.Context, seen map[objects.Digest]bool, d objects.Digest, report func(error)) error {
	s.verifyLayer(ctx, seen, d, report)
	return context.Cause(ctx)
}

func (s *Store) verifyLayer(ctx context.Context, seen map[objects.Digest]bool, d objects.Digest, report func(error)) {
	if seen[d] {
		return
	}
	seen[d] = true
	l, err := s.Outline(d)
	if err != nil {
		report(err)
		return
	}
	for _, f := range l.Files() {
		pin, _ := tree.PinOf(f.Node.Blob())
		if seen[pin] {
			continue
		}
		seen[pin] = true
		b, err := s.contents.Get(pin, f.Node.Size(), nil)
		if err == nil {
			err = objects.Verify(ctx, b)
		}
		if err != nil && ctx.Err() == nil {
			report(fmt.Errorf("layer %s: %s: %w", objects.Text(d), tree.Shown(f.Path), err))
		}
	}
}
