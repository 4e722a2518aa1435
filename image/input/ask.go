package input

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"imprint/image/description"
	"imprint/internal/annex"
	"imprint/internal/cas"
	"imprint/internal/hosttree"
	"imprint/internal/locator"
)

// ask finds out the hash of an input without one, and reports the line to add.
func (s *search) ask(ctx context.Context) error {
	key := s.in.SHA256.Key
	for _, text := range s.in.Locators.Items {
		sum, size, err := s.sumAt(ctx, text)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			hint := fmt.Sprintf("add sha256 = %q", hex.EncodeToString(sum[:]))
			if size >= 0 {
				hint += fmt.Sprintf(" and size = %d", size)
			}
			s.problems = append(s.problems, key.Problem(fmt.Sprintf("is required; this is the hash of %s now", locator.Shown(text.V)), hint))
			return nil
		}
		s.order = append(s.order, locator.Shown(text.V))
		s.tried[locator.Shown(text.V)] = err
	}
	var why strings.Builder
	for _, from := range s.order {
		fmt.Fprintf(&why, "; %s: %v", from, s.tried[from])
	}
	s.problems = append(s.problems, key.Problem("is required, and no place has the file to compute it"+why.String(), ""))
	return nil
}

// sumAt returns the hash and the size of what a locator leads to; the size is -1 if it is not known.
func (s *search) sumAt(ctx context.Context, text description.Text) (sum cas.Digest, size int64, err error) {
	l, err := locator.Parse(text.V)
	if err != nil {
		return sum, 0, err
	}
	if l.Sum != nil {
		return *l.Sum, -1, nil
	}
	switch l.Kind {
	case locator.File:
		return s.sumOfFile(ctx, s.path(l.Path))
	case locator.Store:
		return s.sumOfFile(ctx, s.inStore(l.Path))
	case locator.Annex:
		found, err := annex.Repository{Env: s.Env}.Find(ctx, s.path(l.Path))
		if err != nil {
			return sum, 0, err
		}
		if sum, known := found.Key.SHA256(); known {
			return sum, found.Key.Size, nil
		}
		if found.Path == "" {
			return sum, 0, fmt.Errorf("its content is not here: %w", os.ErrNotExist)
		}
		return s.sumOfFile(ctx, found.Path)
	}
	dir, name, err := s.server(l)
	if err != nil {
		return sum, 0, err
	}
	f := &Fetch{Name: s.in.Name.V, From: locator.Shown(text.V)}
	s.report(f)
	h := sha256.New()
	err = f.fetch(ctx, h, dir, name)
	return cas.Digest(h.Sum(nil)), f.Done(), err
}

func (s *search) sumOfFile(ctx context.Context, path string) (sum cas.Digest, size int64, err error) {
	b, err := hosttree.File(path)
	if err != nil {
		return sum, 0, err
	}
	_, sum, err = hashed(ctx, b)
	return sum, b.Size(), err
}
