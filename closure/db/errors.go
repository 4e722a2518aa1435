package db

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ncruces/go-sqlite3"
)

// ErrNotFound is the error for a path that is not valid in the store.
var ErrNotFound = errors.New("not a valid path")

// An InvalidError describes damage to a database itself. Other errors, apart from [ErrNotFound], come from reading it: it may be locked, or
// the disk broken.
type InvalidError struct{ text string }

// Error implements error. The text is printable, whatever the database holds.
func (e *InvalidError) Error() string { return e.text }

func invalid(format string, args ...any) error {
	return &InvalidError{printable(fmt.Sprintf(format, args...))}
}

// within adds the place in the database to an error.
func within(where string, err error) error {
	var e *InvalidError
	if errors.As(err, &e) {
		return invalid("%s: %s", where, e.text)
	}
	return fmt.Errorf("%s: %w", where, err)
}

// printable returns a text that is safe to print: one with other than printable characters gets the escapes of Go.
func printable(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) < 0 {
		return text
	}
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// sqliteError converts an error of SQLite: it is an [InvalidError] unless reading the database failed.
func sqliteError(err error) error {
	var code sqlite3.ErrorCode
	if !errors.As(err, &code) {
		return err
	}
	switch code {
	case sqlite3.TOOBIG:
		return invalid("a value has more than %d bytes", maxValue)
	case sqlite3.NOMEM:
		return invalid("reading it takes more than %d MiB of memory", maxMemory>>20)
	case sqlite3.CORRUPT, sqlite3.NOTADB, sqlite3.ERROR, sqlite3.SCHEMA, sqlite3.FORMAT, sqlite3.MISMATCH, sqlite3.CONSTRAINT:
		return invalid("%s", strings.TrimPrefix(err.Error(), "sqlite3: "))
	}
	return err
}

// explain adds the file to an error, once.
func explain(path string, err error) error {
	var e *InvalidError
	var p *fs.PathError
	switch {
	case err == nil || errors.Is(err, ErrNotFound):
		return err
	case errors.As(err, &e):
		return invalid("store database %s: %s", path, e.text)
	case errors.As(err, &p):
		return fmt.Errorf("%s store database %s: %w", p.Op, p.Path, p.Err)
	}
	return fmt.Errorf("read store database %s: %w", path, err)
}
