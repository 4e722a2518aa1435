package closure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"imprint/closure/derivation"
	"imprint/closure/nar"
	"imprint/internal/processors"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

// A RegisteredStore is a store directory whose items are listed in a registration file instead of a database. The file may be a graph of
// references, which has no hashes: then all its items are hashed when it is opened.
type RegisteredStore struct {
	hostStore
	items map[Path]*Info
}

// OpenRegistration opens the items below prefix that a registration file lists: see [ParseRegistration]. Such a file has no content
// addresses and no signatures; the outputs of derivations are read from the derivations.
func OpenRegistration(ctx context.Context, prefix, file string, f Flavor, read ReadFunc) (*RegisteredStore, error) {
	if info, err := os.Stat(file); err == nil && info.Mode()&fs.ModeNamedPipe != 0 { // opening one may never return
		return nil, invalid("%s is a pipe, not a file", file)
	}
	r, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	list, err := ParseRegistration(r, file, f)
	if err != nil {
		return nil, err
	}
	s := &RegisteredStore{newHostStore(prefix, f, read), make(map[Path]*Info, len(list))}
	for _, info := range list {
		s.items[info.Path] = info
	}
	if err := s.measure(ctx, list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// measure computes hash and length of the items that have none, several at a time.
func (s *RegisteredStore) measure(ctx context.Context, list []*Info) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(processors.Count())
	for _, info := range list {
		if info.NARSize > 0 {
			continue
		}
		group.Go(func() error {
			n, err := s.Item(ctx, info.Path)
			if err == nil {
				info.NARHash, info.NARSize, err = nar.Hash(n)
			}
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return invalid("%v", Reading(info.Path, err))
			case err != nil:
				return Reading(info.Path, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// Info implements Store.
func (s *RegisteredStore) Info(ctx context.Context, p Path) (*Info, error) {
	info := s.items[p]
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case info == nil:
		return nil, fmt.Errorf("%s: %w", p, ErrNotFound)
	case p.IsDerivation():
		return s.derivation(info)
	}
	return info, nil
}

// derivation adds the outputs to what is registered about a derivation.
func (s *RegisteredStore) derivation(info *Info) (*Info, error) {
	n, err := s.read(s.prefix + info.Path.String())
	if err != nil {
		return nil, err
	}
	outputs, err := s.flavor.Outputs(n.Inode())
	var wrong *InvalidError
	if errors.As(err, &wrong) {
		err = invalid("derivation %s%s: %s", s.prefix, info.Path, wrong.text)
	}
	if err != nil {
		return nil, err
	}
	with := *info
	with.Outputs = outputs
	return &with, nil
}

// Outputs returns the outputs of a derivation, sorted by ID. Outputs without a path (their path depends on what is built) are left
// out, as they are when Nix registers a derivation (addValidPath in local-store.cc).
func (f Flavor) Outputs(drv *tree.Node) (outputs []Output, err error) {
	if drv.Kind() != tree.File || drv.Size() > derivation.MaxSize {
		return nil, invalid("a %v of %d bytes, not a derivation", drv.Kind(), drv.Size())
	}
	text, err := tree.ReadAll(drv.Blob(), derivation.MaxSize)
	if err != nil {
		return nil, err
	}
	return f.outputs(string(text))
}

func (f Flavor) outputs(drv string) (outputs []Output, err error) {
	all, err := derivation.Outputs(drv)
	if err != nil {
		return nil, invalid("%v", err)
	}
	for _, o := range all {
		if o.Path == "" {
			continue
		}
		output, err := f.output(o.ID, o.Path)
		if err != nil {
			return nil, invalid("%v", err)
		}
		outputs = append(outputs, output)
	}
	return outputs, nil
}

var (
	_ Store = (*RegisteredStore)(nil)
	_ Store = (*LocalStore)(nil)
)
