// Package base makes the images of containers, and archives, that partitions are based on into layers. Each is known by a digest, so that a tag that
// moves, or a file that changes, changes no image.
//
// Documents and unpacked layers are kept in the build store by their digests, with an index of each layer: a second build asks nobody, and reads no content
// before it writes the image.
package base

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync/atomic"

	"imprint/image/description"
	"imprint/internal/cas"
	"imprint/internal/diag"
	"imprint/internal/environment"
	"imprint/internal/layer"
	"imprint/internal/objects"
	"imprint/internal/oci"
	"imprint/internal/registry"
)

// Options are what finding a base depends on besides the description.
type Options struct {
	Dir     string // base of relative paths
	Keep    string // directory of the build store
	Scratch string // directory for what compressed archives unpack to, in files without names
	Docker  string // directory with the configuration of docker login; "" for none

	Fetching func(*Fetch) // is called before layers are fetched; may be nil
}

// A Fetch is the layers of a base being fetched.
type Fetch struct {
	From   string
	Layers int
	Total  int64 // bytes, as they are compressed; 0 if that is not known
	done   atomic.Int64
}

// Done returns the number of bytes that were read so far.
func (f *Fetch) Done() int64 { return f.done.Load() }

// A Base is what a [[partition.layer]] with from is made of.
type Base struct {
	From   oci.Reference
	Layers []*layer.Layer // the lowest first; their contents are pinned and in the build store
	Pin    [32]byte       // of the stack of the layers, as an environment of them has it
	Config oci.Config     // zero unless it is the image of a container
}

// Find finds every base that the description names, by the keys of their layers. The list has the problems of the description. An error about contents
// matches [cas.ErrMismatch].
func Find(ctx context.Context, d *description.Image, o Options) (map[diag.Key]*Base, diag.List, error) {
	found := map[diag.Key]*Base{}
	var problems diag.List
	for _, p := range d.Partition.Items {
		for _, l := range p.Layer.Items {
			if !l.From.Written() {
				continue
			}
			b, problem, err := o.find(ctx, d, l.From)
			switch {
			case ctx.Err() != nil:
				return nil, nil, context.Cause(ctx)
			case err != nil:
				return nil, nil, err
			case problem != nil:
				problems = append(problems, *problem)
				continue
			}
			found[l.Key] = b
		}
	}
	return found, problems, nil
}

// find finds one base.
func (o Options) find(ctx context.Context, d *description.Image, from description.Text) (*Base, *diag.Problem, error) {
	problem := func(text, hint string) (*Base, *diag.Problem, error) {
		p := from.Key.Problem(text, hint)
		return nil, &p, nil
	}
	ref, err := oci.ParseReference(from.V)
	if err != nil {
		return nil, nil, err // checked with the description
	}
	if o.Keep == "" {
		return problem("there is no build store to keep it", "name one (--build-store DIR), or set XDG_CACHE_HOME or HOME")
	}
	if ref.Kind == oci.Layer {
		return o.stored(from, ref)
	}
	s := &search{Options: o, ref: ref, want: oci.PlatformOf(d.Arch.V)}
	if ref.Digest == nil {
		sum, err := s.ask(ctx)
		if err != nil {
			return blame(from, fmt.Errorf("has no digest, and it cannot be found out: %w", err))
		}
		return problem("has no digest, without which the image changes when its base does", fmt.Sprintf("write from = %q", ref.With(sum)))
	}
	if err := s.open(); err != nil {
		return nil, nil, err
	}
	if err := s.find(ctx); err != nil {
		return blame(from, err)
	}
	b, err := s.base(ctx)
	return b, nil, err
}

// stored returns a layer that environments of the build store have.
func (o Options) stored(from description.Text, ref oci.Reference) (*Base, *diag.Problem, error) {
	store, err := environment.Open(o.Keep)
	if err != nil {
		return nil, nil, err
	}
	l, err := store.Layer(*ref.Digest)
	if errors.Is(err, objects.ErrMissing) {
		p := from.Key.ProblemOf(err)
		return nil, &p, nil
	}
	return &Base{From: ref, Layers: []*layer.Layer{l}, Pin: environment.PinOf([]oci.Digest{*ref.Digest})}, nil, err
}

// blame makes an error that the description causes a problem at its key. It returns all others.
func blame(from description.Text, err error) (*Base, *diag.Problem, error) {
	var platform *oci.PlatformError
	var path *fs.PathError
	switch {
	case errors.Is(err, cas.ErrMismatch):
		return nil, nil, fmt.Errorf("%s: %w", from.V, err)
	case errors.As(err, &platform):
		p := from.Key.Problem(fmt.Sprintf("%s %v", from.V, err), "arch says which of them is taken")
		return nil, &p, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.As(err, &path):
		p := from.Key.ProblemOf(err)
		return nil, &p, nil
	}
	var mistake mistake
	if errors.As(err, &mistake) {
		p := from.Key.ProblemOf(err)
		return nil, &p, nil
	}
	return nil, nil, fmt.Errorf("%s: %w", from.V, err)
}

// A mistake is an error about what a base is.
type mistake struct{ error }

// Unwrap returns the error.
func (m mistake) Unwrap() error { return m.error }

// A search finds one base.
type search struct {
	Options
	ref    oci.Reference
	want   oci.Platform
	kept   *cas.Store
	repo   *registry.Repository // of oci
	files  *oci.Files           // of an image on a disk, once it was opened
	config oci.Config
	parts  []part
}

// A part is a layer of a base: an archive by its hash when it is unpacked, or of tar that of the file.
type part struct {
	sum  oci.Digest
	size int64 // as it is compressed; 0 if that is not known
	open func(ctx context.Context) (io.ReadCloser, error)
}

func (s *search) open() (err error) {
	if s.kept, err = cas.Open(s.Keep); err != nil {
		return fmt.Errorf("open the build store: %w", err)
	}
	return nil
}

// path returns the path of a base on a disk.
func (s *search) path() string {
	if filepath.IsAbs(s.ref.Name) {
		return filepath.Clean(s.ref.Name)
	}
	return filepath.Join(s.Dir, s.ref.Name)
}
