package diag

import (
	"encoding/json"
	"errors"
	"slices"
	"syscall"
)

// A Key is a key of a user's file with its position: where it is written, or where the table is that lacks it. Values read
// from the file carry their keys, so that a later stage can report an error at the value that causes it.
type Key struct {
	Path string // as in "partition[1].size"
	Position
	Written bool // whether the file has the key
}

// Problem returns a problem at the key. The hint may be empty.
func (k Key) Problem(text, hint string) Problem {
	return Problem{Position: k.Position, Key: k.Path, Text: text, Hint: hint}
}

// ProblemOf returns a problem from an error, with the hint of a [Mistake] in it.
func (k Key) ProblemOf(err error) Problem {
	var m Mistake
	errors.As(err, &m)
	p := k.Problem(err.Error(), m.Hint)
	p.World = isWorlds(err)
	return p
}

// nameable are errors of the operating system that the user can fix by naming another file, or by creating this one.
var nameable = []error{
	syscall.ENOENT, syscall.ENOTDIR, syscall.EISDIR, syscall.EACCES, syscall.EPERM, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.ENXIO, syscall.EINVAL,
}

// isWorlds reports whether an error is the operating system's, possibly temporary, and not caused by what the file says.
func isWorlds(err error) bool {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return !slices.ContainsFunc(nameable, func(known error) bool { return errors.Is(errno, known) })
	}
	var passing interface{ Temporary() bool }
	return errors.As(err, &passing) && passing.Temporary()
}

// Below returns the key of a table at k or of an array element, such as ".size" or "[2]", for values without a key in the
// file. It has the position of k.
func (k Key) Below(suffix string) Key { return Key{Path: k.Path + suffix, Position: k.Position} }

// MarshalJSON encodes only the path: keys of files that say the same are then equal.
func (k Key) MarshalJSON() ([]byte, error) { return json.Marshal(k.Path) }

// A Mistake is an error with a hint.
type Mistake struct{ Text, Hint string }

// Error implements error.
func (m Mistake) Error() string { return m.Text }
