package db

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A Source is the database of a store that may be in use, including what is still in its write-ahead log. It shows one moment, the one at
// which it was opened, where the database can be locked as SQLite's own readers do, which keeps no writer waiting; it needs no new file and
// no permission but to read. Its methods may be called by several goroutines at once.
type Source struct {
	path     string
	lockless bool // for tests
	mu       sync.Mutex
	view     *view // nil after a change
}

// Open opens the database at that path. It is an error if the tables are not those of Nix's schema 10, or if the database is visibly
// damaged: see [InvalidError].
func Open(ctx context.Context, path string) (*Source, error) {
	s := &Source{path: path}
	if err := s.read(ctx, func(*view) error { return nil }); err != nil {
		return nil, err
	}
	return s, nil
}

// Close closes the files of the database, which ends the locks.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	return nil
}

// Item returns the rows of a path. The error wraps [ErrNotFound] when there are none.
func (s *Source) Item(ctx context.Context, path string) (item *Item, err error) {
	err = s.read(ctx, func(v *view) (err error) {
		item, err = v.read(path)
		return err
	})
	return item, err
}

// read runs a query until it was undisturbed, and returns the error of that try: errors of a disturbed one may come from mixed pages.
func (s *Source) read(ctx context.Context, query func(*view) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := (patience{}); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err, undisturbed := s.try(ctx, query)
		if !undisturbed || err != nil && !errors.Is(err, ErrNotFound) {
			s.forget()
		}
		if undisturbed && !errors.Is(err, errBusy) {
			return explain(s.path, err)
		}
		if err := p.wait(ctx, undisturbed); err != nil {
			return explain(s.path, err)
		}
	}
}

// patience counts how often a read was tried in vain. Locks stand in the way for the moment in which a log is written back, so it tries again
// soon, for some ten seconds; where there are no locks, the pauses add up to two seconds.
type patience struct{ busy, disturbed int }

var mostBusy = 1200 // a test has no ten seconds

func (p *patience) wait(ctx context.Context, undisturbed bool) error {
	const mostDisturbed = 11
	pause := time.Millisecond << p.disturbed
	if undisturbed {
		p.busy++
		pause = time.Millisecond << min(p.busy/8, 3)
	} else {
		p.disturbed++
	}
	switch {
	case p.busy == mostBusy:
		return errBusy
	case p.disturbed == mostDisturbed:
		return errDisturbed
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

var errDisturbed = errors.New("it cannot be locked, and was written to during each of several reads; try again when the store is less busy")

// try runs a query once.
func (s *Source) try(ctx context.Context, query func(*view) error) (err error, undisturbed bool) {
	if s.view == nil {
		snapshot, err := openSnapshot(s.path, !s.lockless)
		if err != nil {
			return err, true
		}
		s.view = &view{snapshot: snapshot}
		if err = guard(func() error { return s.view.open(ctx) }); err != nil {
			return err, snapshot.unchanged()
		}
	}
	s.view.budget.Context = ctx
	err = guard(func() error { return query(s.view) })
	return err, s.view.snapshot.unchanged()
}

// guard turns a panic into an error. This SQLite is C translated to Go: if a malicious database corrupts it, the damage stays within its
// own memory and ends in a panic.
func guard(query func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = invalid("SQLite gave up on it: %v", r)
		}
	}()
	return query()
}

func (s *Source) forget() {
	if s.view != nil {
		guard(s.view.close)
		s.view = nil
	}
}

// Paths returns every valid path, in the order in which they were registered.
func (s *Source) Paths(ctx context.Context) (paths []string, err error) {
	err = s.read(ctx, func(v *view) (err error) {
		paths, err = v.paths()
		return err
	})
	return paths, err
}
