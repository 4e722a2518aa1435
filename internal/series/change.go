package series

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"imprint/internal/named"
	"imprint/internal/objects"
)

// Add adds a generation, which becomes the current one, and returns its number. If the current one has the same record, it adds nothing. The series
// is made if necessary. fresh are the contents that were added for it; they and the record are on the disk before the series leads there, unless
// fresh is nil. The caller holds [Store.Use].
func (s *Store) Add(ctx context.Context, name string, r *Record, fresh []objects.Digest) (number int, added bool, err error) {
	d, err := s.contents.PutText(ctx, r.text())
	if err != nil {
		return 0, false, err
	}
	return number, added, s.all.Change(ctx, name, func(e *Series) (*Series, error) {
		if e == nil {
			e = &Series{Name: name, Tags: map[string]int{}}
		}
		added = true
		if g, err := e.Find(Current); err == nil && g.Record == d {
			number, added = g.Number, false
			return e, nil
		}
		number = 1
		if n := len(e.Generations); n > 0 {
			number = e.Generations[n-1].Number + 1
		}
		e.Generations = append(e.Generations, Generation{number, d})
		e.Tags[Current] = number
		if fresh == nil {
			return e, nil
		}
		return e, s.contents.SyncOnly(append(append(fresh, d), r.contents()...))
	})
}

// Tag makes a tag lead to the generation that at names, and returns its number.
func (s *Store) Tag(ctx context.Context, name, tag, at string) (number int, err error) {
	if err := CheckTag(tag); err != nil {
		return 0, err
	}
	return number, s.all.Edit(ctx, name, func(e *Series) error {
		g, err := e.Find(at)
		if err != nil {
			return err
		}
		number, e.Tags[tag] = g.Number, g.Number
		return nil
	})
}

// Untag removes a tag.
func (s *Store) Untag(ctx context.Context, name, tag string) error {
	if tag == Current {
		return fmt.Errorf("the tag %q cannot be removed", tag)
	}
	return s.all.Edit(ctx, name, func(e *Series) error {
		if _, has := e.Tags[tag]; !has {
			return &named.UnknownError{What: "tag", Name: tag, Known: slices.Sorted(maps.Keys(e.Tags))}
		}
		delete(e.Tags, tag)
		return nil
	})
}

// ErrFirst is matched by the error of RollBack for the first generation.
var ErrFirst = errors.New("is the first generation")

// RollBack makes the generation before the current one current.
func (s *Store) RollBack(ctx context.Context, name string) (from, to int, err error) {
	return from, to, s.all.Edit(ctx, name, func(e *Series) error {
		from = e.Tags[Current]
		i := slices.IndexFunc(e.Generations, func(g Generation) bool { return g.Number == from })
		if i == 0 {
			return fmt.Errorf("%d %w", from, ErrFirst)
		}
		to = e.Generations[i-1].Number
		e.Tags[Current] = to
		return nil
	})
}

// Remove removes a series. What it leads to is collected later.
func (s *Store) Remove(ctx context.Context, name string) error { return s.all.Remove(ctx, name) }

// RemoveGeneration removes a generation without tags.
func (s *Store) RemoveGeneration(ctx context.Context, name, at string) (number int, err error) {
	return number, s.all.Edit(ctx, name, func(e *Series) error {
		g, err := e.Find(at)
		if err != nil {
			return err
		}
		if tags := e.TagsOf(g.Number); len(tags) > 0 {
			return fmt.Errorf("generation %d has the tag %q", g.Number, tags[0])
		}
		number = g.Number
		e.keep(func(g Generation) bool { return g.Number != number })
		return nil
	})
}

// keep removes the generations that wanted does not report, with their files.
func (e *Series) keep(wanted func(Generation) bool) {
	e.Generations = slices.DeleteFunc(e.Generations, func(g Generation) bool { return !wanted(g) })
	e.Files = slices.DeleteFunc(e.Files, func(f File) bool { _, has := e.number(f.Generation); return !has })
	e.Pending = slices.DeleteFunc(e.Pending, func(p Pending) bool {
		_, from := e.number(p.From)
		_, to := e.number(p.To)
		return !from || !to
	})
}

// prune removes all but the last generations, and those with tags, and returns the numbers of those removed.
func (e *Series) prune(last int) (removed []int) {
	first := max(0, len(e.Generations)-last)
	old := map[int]bool{}
	for _, g := range e.Generations[:first] {
		if len(e.TagsOf(g.Number)) == 0 {
			old[g.Number] = true
			removed = append(removed, g.Number)
		}
	}
	e.keep(func(g Generation) bool { return !old[g.Number] })
	return removed
}

// Prune removes from all series the generations that have no tag and are not among the last ones of their series. It returns their numbers by
// series. With dryRun it only returns them.
func (s *Store) Prune(ctx context.Context, last int, dryRun bool) (map[string][]int, error) {
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	removed := map[string][]int{}
	for _, e := range all {
		if numbers := e.prune(last); len(numbers) > 0 {
			removed[e.Name] = numbers
		}
		if dryRun || removed[e.Name] == nil {
			continue
		}
		err := s.all.Edit(ctx, e.Name, func(e *Series) error { removed[e.Name] = e.prune(last); return nil })
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}
