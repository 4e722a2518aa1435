package db

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A Source is the database of a store that may be in use, including the content of its write-ahead log. If the database can be locked as
// SQLite's own readers do, which keeps no writer waiting, the Source shows it as of one moment, when it was opened. It creates no file and needs
// only read permission. Its methods are safe for concurrent use.
type Source struct {
	path     string
	schema   *Schema
	lockless bool // for tests
	mu       sync.Mutex
	view     *view // nil after a change
}

// Open opens the database at a path. The error is an [InvalidError] if the tables are not those of the schema, or if the database is
// visibly damaged.
func Open(ctx context.Context, schema *Schema, path string) (*Source, error) {
	s := &Source{path: path, schema: schema}
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

// Item returns the rows of a path. The error wraps [ErrNotFound] if there are none.
func (s *Source) Item(ctx context.Context, path string) (item *Item, err error) {
	err = s.read(ctx, func(v *view) (err error) {
		item, err = v.read(path)
		return err
	})
	return item, err
}

// Valid reports whether a path is registered.
func (s *Source) Valid(ctx context.Context, path string) (bool, error) {
	err := s.read(ctx, func(v *view) error {
		_, _, err := v.readItem(path)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// read repeats a query until no writer disturbs it, and returns the error of that try: a disturbed one may fail because it mixes old and new
// pages.
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

// patience counts failed tries of a read. A lock is held only while a log is written back, so the pauses are short, and end after about ten
// seconds; without locks, they add up to two seconds.
type patience struct{ busy, disturbed int }

var mostBusy = 1200 // a test has no ten seconds

// wait pauses before the next try; undisturbed means that a lock was in the way. The error ends the tries: pauses after a disturbed read double
// each time, up to a second, since a writer that is that busy may go on; those for a lock stay at 8 ms or less.
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
		s.view = &view{snapshot: snapshot, schema: s.schema}
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
			err = invalid("SQLite panicked: %v", r)
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
