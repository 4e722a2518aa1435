package base

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"imprint/internal/cas"
	"imprint/internal/hosttree"
	"imprint/internal/oci"
	"imprint/internal/tree"
)

// sumOfTar returns the hash that an archive has now.
func (s *search) sumOfTar(ctx context.Context) (sum oci.Digest, err error) {
	b, err := hosttree.File(s.path())
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	err = tree.Copy(ctx, h, b, nil)
	return oci.Digest(h.Sum(nil)), err
}

// findTar finds an archive of a tree. It is compared with its digest if it is there, so that a change is noticed at once.
func (s *search) findTar(ctx context.Context) error {
	s.parts = []part{{sum: *s.ref.Digest, open: func(context.Context) (io.ReadCloser, error) {
		b, err := hosttree.File(s.path())
		if err != nil {
			return nil, err
		}
		return readerOf(b)
	}}}
	sum, err := s.sumOfTar(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.indexed(*s.ref.Digest) != nil:
		return nil
	case err != nil:
		return err
	case sum != *s.ref.Digest:
		return mistake{fmt.Errorf("%s has changed: its digest is %s", s.path(), oci.Text(sum))}
	}
	return nil
}

// findSaved finds an image of docker save, which is needed only for what is not kept.
func (s *search) findSaved(ctx context.Context) error {
	text, err := s.document(ctx, *s.ref.Digest, func() ([]byte, error) {
		saved, err := s.saved(ctx)
		if err != nil {
			return nil, err
		}
		return saved.Config, nil
	})
	if err != nil {
		return err
	}
	if err := s.configured(text); err != nil {
		return err
	}
	for i, sum := range s.config.DiffIDs {
		s.parts = append(s.parts, part{sum: sum, open: func(ctx context.Context) (io.ReadCloser, error) {
			saved, err := s.saved(ctx)
			if err != nil {
				return nil, err
			}
			if len(saved.Layers) != len(s.config.DiffIDs) {
				return nil, fmt.Errorf("%w: %d layers, not %d", cas.ErrMismatch, len(saved.Layers), len(s.config.DiffIDs))
			}
			return readerOf(saved.Layers[i])
		}})
	}
	return nil
}

func (s *search) saved(ctx context.Context) (*oci.Saved, error) {
	if err := s.openFiles(ctx); err != nil {
		return nil, err
	}
	saved, err := s.files.Saved(s.ref.Digest)
	return saved, asMistake(err)
}
