package base

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"imprint/internal/cas"
	"imprint/internal/oci"
	"imprint/internal/registry"
	"imprint/internal/tree"
	"imprint/internal/unpack"
)

// ask finds out the digest that a reference without one has now.
func (s *search) ask(ctx context.Context) (oci.Digest, error) {
	switch s.ref.Kind {
	case oci.Registry:
		if err := s.connect(); err != nil {
			return oci.Digest{}, err
		}
		_, sum, err := s.repo.Tagged(ctx, s.ref.Tag)
		return sum, err
	case oci.Tar:
		return s.sumOfTar(ctx)
	}
	if err := s.openFiles(ctx); err != nil {
		return oci.Digest{}, err
	}
	if s.ref.Kind != oci.DockerArchive {
		sum, err := s.files.Manifest(s.ref.Tag)
		return sum, asMistake(err)
	}
	saved, err := s.files.Saved(nil)
	if err != nil {
		return oci.Digest{}, asMistake(err)
	}
	return saved.Digest, nil
}

func asMistake(err error) error {
	if err == nil {
		return nil
	}
	return mistake{err}
}

// connect prepares to ask a registry.
func (s *search) connect() (err error) {
	if s.repo == nil {
		s.repo, err = registry.Open(s.ref.Name, registry.Options{Docker: s.Docker})
	}
	return asMistake(err)
}

// openFiles opens an image on a disk.
func (s *search) openFiles(ctx context.Context) (err error) {
	switch {
	case s.files != nil:
	case s.ref.Kind == oci.Layout:
		s.files, err = oci.OpenDir(s.path())
	default:
		s.files, err = oci.OpenArchive(s.path(), unpack.Into(ctx, s.Scratch, s.path()))
	}
	return err
}

// find fills in the configuration and the parts of a base.
func (s *search) find(ctx context.Context) error {
	switch s.ref.Kind {
	case oci.Tar:
		return s.findTar(ctx)
	case oci.DockerArchive:
		return s.findSaved(ctx)
	}
	return s.findImage(ctx)
}

// findImage finds an image with a manifest: in a registry or in a layout.
func (s *search) findImage(ctx context.Context) error {
	doc, err := s.selected(ctx)
	if err != nil {
		return err
	}
	text, err := s.document(ctx, doc.Config.Digest, func() ([]byte, error) { return s.read(ctx, doc.Config.Digest) })
	if err != nil {
		return err
	}
	if err := s.configured(text); err != nil {
		return err
	}
	if len(doc.Layers) != len(s.config.DiffIDs) {
		return mistake{fmt.Errorf("has %d layers in its manifest, and %d in its configuration", len(doc.Layers), len(s.config.DiffIDs))}
	}
	for i, l := range doc.Layers {
		s.parts = append(s.parts, part{sum: s.config.DiffIDs[i], size: l.Size, open: func(ctx context.Context) (io.ReadCloser, error) {
			r, err := s.blob(ctx, l.Digest)
			if err != nil {
				return nil, err
			}
			return newVerified(r, l), nil
		}})
	}
	return nil
}

// selected returns the manifest with the digest of the reference, or that in the index with it which is for the platform.
func (s *search) selected(ctx context.Context) (doc oci.Document, err error) {
	if doc, err = s.manifest(ctx, *s.ref.Digest); err != nil || doc.Manifests == nil {
		return doc, err
	}
	one, err := doc.Select(s.want)
	if err != nil {
		return doc, err
	}
	if doc, err = s.manifest(ctx, one.Digest); err == nil && doc.Manifests != nil {
		err = mistake{errors.New("is an index of indexes")}
	}
	return doc, err
}

// configured takes the configuration of an image, which has to be for the platform that is wanted.
func (s *search) configured(text []byte) (err error) {
	if s.config, err = oci.ParseConfig(text); err != nil {
		return mistake{err}
	}
	p := s.config.Platform
	if p.Architecture != s.want.Architecture && s.want.Architecture != "" || p.OS != s.want.OS {
		return &oci.PlatformError{Want: s.want, There: []string{p.String()}}
	}
	return nil
}

// manifest returns a manifest or an index.
func (s *search) manifest(ctx context.Context, d oci.Digest) (oci.Document, error) {
	text, err := s.document(ctx, d, func() ([]byte, error) {
		if s.ref.Kind != oci.Registry {
			return s.read(ctx, d)
		}
		if err := s.connect(); err != nil {
			return nil, err
		}
		return s.repo.Manifest(ctx, d)
	})
	if err != nil {
		return oci.Document{}, err
	}
	doc, err := oci.ParseDocument(text)
	return doc, asMistake(err)
}

// read reads a document that is a blob.
func (s *search) read(ctx context.Context, d oci.Digest) ([]byte, error) {
	r, err := s.blob(ctx, d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, oci.MaxDocument))
}

// document returns a document from the build store, into which get brings it otherwise.
func (s *search) document(ctx context.Context, d oci.Digest, get func() ([]byte, error)) ([]byte, error) {
	b, err := s.kept.Add(ctx, d, cas.AnySize, func(w io.Writer) error {
		text, err := get()
		if err != nil {
			return err
		}
		_, err = io.Copy(w, bytes.NewReader(text))
		return err
	})
	if err != nil {
		return nil, err
	}
	return tree.ReadAll(b, oci.MaxDocument)
}

// blob opens a configuration, a manifest in a layout, or a layer.
func (s *search) blob(ctx context.Context, d oci.Digest) (io.ReadCloser, error) {
	if s.ref.Kind == oci.Registry {
		if err := s.connect(); err != nil {
			return nil, err
		}
		return s.repo.Blob(ctx, d)
	}
	if err := s.openFiles(ctx); err != nil {
		return nil, err
	}
	b, err := s.files.Blob(d)
	if err != nil {
		return nil, err
	}
	return readerOf(b)
}
