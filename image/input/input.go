// Package input finds the files that a description knows by their hash: on this machine, in a repository of git-annex, in the build store, or at a
// server, from which they are fetched into the build store. What is found is compared with the hash, and pinned.
//
// Fetching changes no image: what a file is, its hash says. So a server may be replaced by another one, and a file that is in the build store is
// taken from there without a request.
package input

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"

	"imprint/image/description"
	"imprint/internal/cas"
	"imprint/internal/diag"
	"imprint/internal/locator"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

// Options are what finding an input depends on besides the description.
type Options struct {
	Dir     string   // base of relative paths
	Keep    string   // directory of the build store; "" if there is none: then nothing is fetched
	Gateway string   // URL of a gateway to IPFS
	Env     []string // variables, "NAME=value", for git-annex and the programs that it runs

	Fetching func(*Fetch)                          // is called before an input is fetched; may be nil
	Warn     func(key diag.Key, text, hint string) // takes what is valid but probably a mistake
}

// A Fetch is an input being fetched.
type Fetch struct {
	Name string
	From string // without a password
	Size int64  // bytes; 0 if it is not known
	done atomic.Int64
}

// Done returns the number of bytes that were fetched so far.
func (f *Fetch) Done() int64 { return f.done.Load() }

// Write implements io.Writer: it counts the bytes.
func (f *Fetch) Write(p []byte) (int, error) {
	f.done.Add(int64(len(p)))
	return len(p), nil
}

// A File is an input that was found.
type File struct {
	Name   string
	SHA256 cas.Digest
	From   string    // locator, without a password; "" if only the build store was looked at
	Kept   bool      // in the build store, by its digest
	Blob   tree.Blob // pinned, of a file on this machine
}

// most is the number of inputs that are looked for at a time.
const most = 8

// Find finds every input that the description uses. Unused ones are not looked for.
//
// The list has the problems of the description: an input that is nowhere, or that has another hash. An error of fetching matches [cas.ErrMismatch] if
// that is the reason.
func Find(ctx context.Context, d *description.Image, o Options) (map[string]*File, diag.List, error) {
	used := d.UsedInputs()
	var wanted []description.Input
	for _, in := range d.Input.Items {
		if used[in.Name.V].Path == "" {
			o.Warn(in.Key, fmt.Sprintf("input %q is not used", in.Name.V), fmt.Sprintf("name it where it belongs, as in source = \"${input.%s}\", or remove it", in.Name.V))
			continue
		}
		wanted = append(wanted, in)
	}
	files, problems := make([]*File, len(wanted)), make([]diag.List, len(wanted))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(most)
	for i, in := range wanted {
		group.Go(func() (err error) {
			s := &search{Options: o, in: in, stores: stores(d), tried: map[string]error{}}
			files[i], err = s.find(within)
			problems[i] = s.problems
			return err
		})
	}
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, nil, err
	}
	found := map[string]*File{}
	for i, in := range wanted {
		if files[i] != nil {
			found[in.Name.V] = files[i]
		}
	}
	return found, slices.Concat(problems...), nil
}

// stores returns the directories of the sources of store items that are on this machine.
func stores(d *description.Image) (dirs []string) {
	for _, s := range d.Source.Items {
		if !s.Own().Written() && s.Path.V != "" {
			dirs = append(dirs, s.Path.V)
		}
	}
	if len(dirs) == 0 {
		return []string{"/"}
	}
	return dirs
}

// A search looks for one input.
type search struct {
	Options
	in       description.Input
	stores   []string // directories that a store path may be below
	want     cas.Digest
	kept     *cas.Store // nil until it is needed
	order    []string   // locators that were tried
	tried    map[string]error
	problems diag.List
}

// find tries the locators in their order. Those that need a server come after the build store.
func (s *search) find(ctx context.Context) (*File, error) {
	want, known := s.in.Digest()
	if !known {
		return nil, s.ask(ctx)
	}
	s.want = want
	asked := false
	for _, text := range s.in.Locators.Items {
		l, err := locator.Parse(text.V)
		if err != nil {
			return nil, err // checked with the description
		}
		if l.Sum != nil && *l.Sum != want {
			s.other(text.Key, locator.Shown(text.V), *l.Sum)
			return nil, nil
		}
		if !l.Local() && l.Kind != locator.Annex && !asked {
			asked = true
			if f, err := s.stored(ctx); f != nil || err != nil {
				return f, err
			}
		}
		f, err := s.try(ctx, text, l)
		if f != nil || len(s.problems) > 0 {
			return f, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		s.order = append(s.order, locator.Shown(text.V))
		s.tried[locator.Shown(text.V)] = err
	}
	if !asked {
		if f, err := s.stored(ctx); f != nil || err != nil {
			return f, err
		}
	}
	return nil, s.nowhere()
}

// stored looks for the input in the build store.
func (s *search) stored(ctx context.Context) (*File, error) {
	if s.Keep == "" {
		return nil, nil
	}
	store, err := s.store()
	if err != nil {
		return nil, err
	}
	b, err := store.Get(ctx, s.want, s.size())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return s.pinned(ctx, b, "")
}

// store opens the build store.
func (s *search) store() (_ *cas.Store, err error) {
	if s.kept == nil {
		if s.kept, err = cas.Open(s.Keep); err != nil {
			return nil, fmt.Errorf("open the build store: %w", err)
		}
	}
	return s.kept, nil
}

// size returns the size that the input has to have.
func (s *search) size() int64 {
	if s.in.Size.Written() {
		return s.in.Size.V.Bytes
	}
	return cas.AnySize
}

// pinned returns a file of the build store.
func (s *search) pinned(ctx context.Context, b tree.Blob, from string) (*File, error) {
	b, err := tree.PinContent(ctx, b)
	if err != nil {
		return nil, err
	}
	return &File{Name: s.in.Name.V, SHA256: s.want, From: locator.Shown(from), Kept: true, Blob: b}, nil
}
