package diag

import (
	"encoding/json"
	"errors"
	"slices"
	"syscall"
)

// A Key is a key of a user's file and where it stands: the position at which it was written, or that of the table which lacks it.
// Values that are read from the file carry theirs, so that a later stage can say which of them is wrong.
type Key struct {
	Path string // as in "partition[1].size"
	Position
	Written bool // the file has the key
}

// Problem is a mistake at the key. The hint may be empty.
func (k Key) Problem(text, hint string) Problem {
	return Problem{Position: k.Position, Key: k.Path, Text: text, Hint: hint}
}

// ProblemOf is the mistake that an error describes, with the hint of a [Mistake] in it.
func (k Key) ProblemOf(err error) Problem {
	var m Mistake
	errors.As(err, &m)
	p := k.Problem(err.Error(), m.Hint)
	p.World = isWorlds(err)
	return p
}

// nameable are the errors of the operating system that another name in the file, or another file of that name, would avoid.
var nameable = []error{
	syscall.ENOENT, syscall.ENOTDIR, syscall.EISDIR, syscall.EACCES, syscall.EPERM, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.ENXIO, syscall.EINVAL,
}

// isWorlds reports whether an error came from the operating system, or passes, and not from what a file says.
func isWorlds(err error) bool {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return !slices.ContainsFunc(nameable, func(known error) bool { return errors.Is(errno, known) })
	}
	var passing interface{ Temporary() bool }
	return errors.As(err, &passing) && passing.Temporary()
}

// Below is a key of a table that stands at k, or an element of an array, in its textual form such as ".size" or "[2]". It is for
// values that have no key of their own in the file, and has the position of k.
func (k Key) Below(suffix string) Key { return Key{Path: k.Path + suffix, Position: k.Position} }

// MarshalJSON writes the path alone: two files that say the same have equal keys.
func (k Key) MarshalJSON() ([]byte, error) { return json.Marshal(k.Path) }

// A Mistake is an error that knows what to write instead.
type Mistake struct{ Text, Hint string }

// Error implements error.
func (m Mistake) Error() string { return m.Text }
