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

// A Garbage is what nothing leads to.
type Garbage struct {
	Digests []objects.Digest // sorted
	Bytes   int64
	Missing []objects.Digest // what something leads to and is not there, sorted: nothing of it can be removed
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

// addOthers adds to live what others lead to, and what commands have made.
func (s *Store) addOthers(live map[objects.Digest]bool) error {
	if err := s.addSteps(live); err != nil {
		return err
	}
	for _, roots := range s.others {
		if err := roots(live); err != nil {
			return err
		}
	}
	return nil
}

// addSteps adds to live what the results of commands lead to. What is damaged is made again, and does not count.
func (s *Store) addSteps(live map[objects.Digest]bool) error {
	layers, err := s.steps.Layers()
	if err != nil {
		return err
	}
	for _, d := range layers {
		own := map[objects.Digest]bool{}
		if err := s.markLayer(own, d); errors.Is(err, objects.ErrMissing) || errors.Is(err, objects.ErrDamaged) {
			continue
		} else if err != nil {
			return err
		}
		maps.Copy(live, own)
	}
	return nil
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
		if err := s.markLayer(live, link.Layer); err != nil {
			return err
		}
	}
	return nil
}

// markLayer adds a layer and its contents.
func (s *Store) markLayer(live map[objects.Digest]bool, d objects.Digest) error {
	if live[d] {
		return nil
	}
	live[d] = true
	l, err := s.Outline(d)
	if err != nil {
		return err
	}
	for _, f := range l.Files() {
		content, _ := tree.PinOf(f.Node.Blob())
		live[content] = true
	}
	return nil
}

// Collect removes what no environment and nothing else leads to (see [Store.Share]), unless it is only asked what that is. It is the difference of two sets: what is in the store, and
// what is in use. It waits for those who [Store.Use] the store; the error matches [objects.ErrBusy] if that takes too long.
//
// A stack that cannot be read is an error before anything is removed: what it leads to is not known. also removes what depends on
// environments and on digests that are in use, such as a tree of files.
func (s *Store) Collect(ctx context.Context, dryRun bool, also func(names []string, live map[objects.Digest]bool) error) (g Garbage, err error) {
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
	if err == nil {
		err = s.addOthers(live)
	}
	if err != nil {
		return g, err
	}
	if g, err = s.difference(live); err != nil || dryRun {
		return g, err
	}
	return g, s.discard(g, func() error { return also(namesOf(all), live) })
}

// discard removes garbage, and what killed processes have left.
func (s *Store) discard(g Garbage, also func() error) error {
	scratch.Sweep(s.dir)
	s.steps.Sweep()
	for _, d := range g.Digests {
		if err := s.contents.Remove(d); err != nil {
			return err
		}
	}
	return also()
}

func namesOf(all []*Environment) (names []string) {
	for _, e := range all {
		names = append(names, e.Name)
	}
	return names
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

// Remove removes an environment and what only it leads to. What others lead to, too, stays: those layers are returned with the names of the
// environments that have them. It waits as [Store.Collect] does.
func (s *Store) Remove(ctx context.Context, name string) (g Garbage, shared map[objects.Digest][]string, err error) {
	e, err := s.Environment(name)
	if err != nil {
		return g, nil, err
	}
	release, err := s.contents.Lock(ctx, "use.lock", true)
	if err != nil {
		return g, nil, err
	}
	defer release()
	all, err := s.List()
	if err != nil {
		return g, nil, err
	}
	others := slices.DeleteFunc(all, func(o *Environment) bool { return o.Name == name })
	own, err := s.live([]*Environment{e})
	if err != nil {
		return g, nil, err
	}
	rest, err := s.live(others)
	if err == nil {
		err = s.addOthers(rest)
	}
	if err != nil {
		return g, nil, err
	}
	if shared, err = s.shared(own, others); err != nil {
		return g, nil, err
	}
	if g, err = s.only(own, rest); err != nil {
		return g, nil, err
	}
	if err := s.all.Remove(ctx, name); err != nil {
		return g, nil, err
	}
	return g, shared, s.discard(g, func() error { return nil })
}

// only returns what is in one set and not in another, as far as it is in the store.
func (s *Store) only(own, rest map[objects.Digest]bool) (g Garbage, err error) {
	there, err := s.contents.All()
	if err != nil {
		return g, err
	}
	for d := range own {
		if size, has := there[d]; has && !rest[d] {
			g.Digests = append(g.Digests, d)
			g.Bytes += size
		}
	}
	return g, nil
}

// shared returns the layers in a set that environments have, and their names, sorted.
func (s *Store) shared(own map[objects.Digest]bool, others []*Environment) (map[objects.Digest][]string, error) {
	users := map[objects.Digest][]string{}
	for _, e := range others {
		for _, pin := range e.Tags {
			stack, err := s.Stack(pin)
			if err != nil {
				return nil, fmt.Errorf("environment %q: %w", e.Name, err)
			}
			for _, link := range stack {
				if own[link.Layer] && !slices.Contains(users[link.Layer], e.Name) {
					users[link.Layer] = append(users[link.Layer], e.Name)
				}
			}
		}
	}
	return users, nil
}
