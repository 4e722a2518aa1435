package db

import (
	"context"
	"errors"

	"github.com/ncruces/go-sqlite3"
)

// Limits on the time and memory that a hostile database can cost. They grow with the rows that it returns: Nix's indexes find an item in a
// dozen pages and as many steps, but in a hostile database pages may form loops, and an index may be missing.
const (
	maxMemory = 64 << 20 // bytes for SQLite
	maxValue  = 64 << 10 // bytes in a value
	maxRows   = 1 << 18  // references, or outputs, of one item
	maxTables = 1 << 10  // tables, indexes and triggers

	mayStep    = 2000      // thousands of steps of SQLite's virtual machine, before any row
	mayRead    = 256 << 20 // bytes, before any row
	readForRow = 1 << 20   // further bytes for each row
)

// A budget is a context that ends when the steps are used up. SQLite asks for its error before each row and after each thousand of its steps.
type budget struct {
	context.Context
	steps int
}

var errSteps = errors.New("out of steps")

// Err implements context.Context.
func (b *budget) Err() error {
	if err := b.Context.Err(); err != nil {
		return err
	}
	if b.steps--; b.steps < 0 {
		return errSteps
	}
	return nil
}

// earn adds to the budget for a row, or for the end of the rows: a thousand steps, and those that the question itself took.
func (v *view) earn() {
	v.budget.steps += 2
	v.snapshot.mayRead += readForRow
}

// cause returns why SQLite gave up. Its own error is the last choice, since it only says that it was interrupted.
func (v *view) cause(err error) error {
	switch {
	case err == nil:
		return nil
	case v.budget.Context.Err() != nil:
		return v.budget.Context.Err()
	case v.snapshot.failed != nil:
		return v.snapshot.failed
	case errors.Is(err, sqlite3.INTERRUPT):
		return invalid("reading it takes too many steps: its pages form loops, or an index is missing")
	}
	return sqliteError(err)
}
