package environment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"imprint/internal/objects"
	"imprint/internal/scratch"
	"imprint/internal/tree"
)

// A Garbage is what no environment leads to.
type Garbage struct {
	Digests []objects.Digest // sorted
	Bytes   int64
	Missing []objects.Digest // what an environment leads to and is not there, sorted: nothing of it can be removed
}

// live returns everything that environments lead to: links, records and contents. What is missing is among it.
func (s *Store) live(environments []*Environment) (map[objects.Digest]bool, error) {
	live := map[objects.Digest]bool{}
	for _, e := range environments {
		for _, pin := range e.Tags {
			if err := s.mark(live, pin); err != nil {
				return nil, fmt.Errorf("environment %q: %w", e.Name, err)
			}
		}
	}
	return live, nil
}

// mark adds what a stack leads to.
func (s *Store) mark(live map[objects.Digest]bool, pin objects.Digest) error {
	if live[pin] {
		return nil
	}
	stack, err := s.Stack(pin)
	if err != nil {
		return err
	}
	for _, link := range stack {
		live[link.Pin] = true
		if live[link.Layer] {
			continue
		}
		live[link.Layer] = true
		l, err := s.Outline(link.Layer)
		if err != nil {
			return err
		}
		for _, f := range l.Files() {
			content, _ := tree.PinOf(f.Node.Blob())
			live[content] = true
		}
	}
	return nil
}

// Collect removes what no environment leads to, unless it is only asked what that is. It is the difference of two sets: what is in the store, and
// what is in use. It waits for those who [Store.Use] the store; the error matches [objects.ErrBusy] if that takes too long.
//
// A stack that cannot be read is an error before anything is removed: what it leads to is not known.
func (s *Store) Collect(ctx context.Context, dryRun bool) (g Garbage, err error) {
	if _, err := os.Stat(s.dir); errors.Is(err, os.ErrNotExist) {
		return g, nil
	}
	release, err := s.contents.Lock(ctx, "use.lock", true)
	if err != nil {
		return g, err
	}
	defer release()
	all, err := s.List()
	if err != nil {
		return g, err
	}
	live, err := s.live(all)
	if err != nil {
		return g, err
	}
	if g, err = s.difference(live); err != nil || dryRun {
		return g, err
	}
	scratch.Sweep(s.dir)
	for _, d := range g.Digests {
		if err := s.contents.Remove(d); err != nil {
			return g, err
		}
	}
	return g, nil
}

// difference compares what is there with what is in use.
func (s *Store) difference(live map[objects.Digest]bool) (g Garbage, err error) {
	there, err := s.contents.All()
	if err != nil {
		return g, err
	}
	for d, size := range there {
		if !live[d] {
			g.Digests = append(g.Digests, d)
			g.Bytes += size
		}
	}
	for d := range live {
		if _, has := there[d]; !has {
			g.Missing = append(g.Missing, d)
		}
	}
	byText := func(a, b objects.Digest) int { return cmp.Compare(objects.Text(a), objects.Text(b)) }
	slices.SortFunc(g.Digests, byText)
	slices.SortFunc(g.Missing, byText)
	return g, nil
}

// A Sharing says which layers of an environment others have too.
type Sharing struct {
	Own    []objects.Digest            // layers that nobody else has, sorted
	Shared map[objects.Digest][]string // names of the other environments, sorted
}

// Sharing returns who has the layers of an environment.
func (s *Store) Sharing(name string) (Sharing, error) {
	e, err := s.Environment(name)
	if err != nil {
		return Sharing{}, err
	}
	all, err := s.List()
	if err != nil {
		return Sharing{}, err
	}
	users := map[objects.Digest]map[string]bool{}
	for _, one := range all {
		for _, pin := range one.Tags {
			stack, err := s.Stack(pin)
			if err != nil {
				return Sharing{}, fmt.Errorf("environment %q: %w", one.Name, err)
			}
			for _, link := range stack {
				if users[link.Layer] == nil {
					users[link.Layer] = map[string]bool{}
				}
				users[link.Layer][one.Name] = true
			}
		}
	}
	sharing := Sharing{Shared: map[objects.Digest][]string{}}
	for layer, by := range users {
		if !by[e.Name] {
			continue
		}
		if delete(by, e.Name); len(by) == 0 {
			sharing.Own = append(sharing.Own, layer)
			continue
		}
		sharing.Shared[layer] = slices.Sorted(maps.Keys(by))
	}
	slices.SortFunc(sharing.Own, func(a, b objects.Digest) int { return cmp.Compare(objects.Text(a), objects.Text(b)) })
	return sharing, nil
}

// Remove removes an environment. Its layers stay until the next [Store.Collect], which keeps those that others have.
func (s *Store) Remove(ctx context.Context, name string) error {
	if _, err := s.Environment(name); err != nil {
		return err
	}
	return s.change(ctx, name, func(e *Environment) (*Environment, error) { return nil, nil })
}

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
