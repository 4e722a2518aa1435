package closure

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"imprint/closure/db"
)

// An InvalidError describes damage to a store itself, such as a damaged database or references that form a cycle. Other errors, apart from
// a [MissingError] and a [GoneError], come from reading the store: a file may be missing or locked, or the disk broken.
type InvalidError struct{ text string }

// Error implements error. The text is printable, whatever the store holds.
func (e *InvalidError) Error() string { return e.text }

func invalid(format string, args ...any) error { return &InvalidError{fmt.Sprintf(format, args...)} }

// ofDatabase converts an error of package db.
func ofDatabase(err error) error {
	var e *db.InvalidError
	if errors.As(err, &e) {
		return &InvalidError{err.Error()}
	}
	return err
}

// A GoneError reports an item that was valid when the closure was computed, and has been deleted since.
type GoneError struct{ Path Path }

// Error implements error.
func (e *GoneError) Error() string {
	return fmt.Sprintf("%v was in the store when the closure was computed, and has been deleted since: a garbage collection takes what no GC root "+
		"leads to; make it again, and keep a root until the image is complete", e.Path)
}

// quoted returns a text from outside as it is if it is plain, else quoted, so that it is safe to print.
func quoted(text string) string {
	plain := func(r rune) bool { return strconv.IsPrint(r) && r != ' ' && r != '"' }
	if text != "" && utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return strconv.Quote(text)
}
