package db

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrNotFound is the error for a path that is not valid in the store.
var ErrNotFound = errors.New("not a valid path")

// A Source is the database of a store that may be in use, including what is still in its write-ahead log. Reading it needs no lock, no new
// file and no permission but to read. Its methods may be called by several goroutines at once.
type Source struct {
	path string
	mu   sync.Mutex
	view *view // nil after a change
}

// Open opens the database at that path. It is an error if the tables are not those of Nix's schema 10, or if the database is visibly
// damaged.
func Open(ctx context.Context, path string) (*Source, error) {
	s := &Source{path: path}
	if err := s.read(ctx, func(*view) error { return nil }); err != nil {
		return nil, err
	}
	return s, nil
}

// Close closes the files of the database.
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

// maxReads is how often a read is tried, since others may write to the database meanwhile. The pauses between the tries, each twice as long
// as the last, add up to two seconds; a checkpoint takes a fraction of one.
const maxReads = 11

// read runs a query until it was undisturbed, and returns the error of that try: errors of a disturbed one may come from mixed pages.
func (s *Source) read(ctx context.Context, query func(*view) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	pause := time.Millisecond
	for range maxReads {
		if err := ctx.Err(); err != nil {
			return err
		}
		err, undisturbed := s.try(ctx, query)
		if !undisturbed || err != nil && !errors.Is(err, ErrNotFound) {
			s.forget()
		}
		if undisturbed {
			return s.explain(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			pause *= 2
		}
	}
	return s.explain(fmt.Errorf("it was written to during each of %d reads; try again when the store is less busy", maxReads))
}

// try runs a query once.
func (s *Source) try(ctx context.Context, query func(*view) error) (err error, undisturbed bool) {
	if s.view == nil {
		snapshot, err := openSnapshot(s.path)
		if err != nil {
			return err, true
		}
		s.view = &view{snapshot: snapshot}
		err = guard(s.view.open)
		if err != nil {
			return err, snapshot.unchanged()
		}
	}
	s.view.conn.SetInterrupt(ctx)
	err = guard(func() error { return query(s.view) })
	return err, s.view.snapshot.unchanged()
}

// guard turns a panic into an error. This SQLite is C translated to Go: if a malicious database corrupts it, the damage stays within its
// own memory and ends in a panic.
func guard(query func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("SQLite gave up on the database: %v", r)
		}
	}()
	return query()
}

// explain adds the path of the database to an error.
func (s *Source) explain(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read store database %s: %w", s.path, err)
}

// forget closes the view, so that the next read starts from a new snapshot.
func (s *Source) forget() {
	if s.view != nil {
		guard(s.view.close)
		s.view = nil
	}
}
