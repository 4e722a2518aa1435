package fault

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrOverlap is the error for a file system whose structures use bytes twice, so that reading all of them may take any time.
var ErrOverlap = errors.New("structures overlap: they have more bytes than the file system")

// A located error is about the file at a path. The path is composed when it is printed, since most errors never are, and a
// reader that descends knows one name at a time.
type located struct {
	names []string // the innermost first
	err   error
}

// Below adds the name of a directory entry, the empty name for the root, to the path of an error in it.
func Below(name string, err error) error {
	if l, ok := err.(*located); ok {
		l.names = append(l.names, name)
		return l
	}
	return &located{[]string{name}, err}
}

// Error implements error. Names are those of an image, so they are quoted, and cut.
func (l *located) Error() string {
	names := slices.Clone(l.names)
	slices.Reverse(names)
	path := strings.Join(names, "/")
	if len(names) == 1 {
		path = "/"
	}
	return fmt.Sprintf("%.4096q: %v", path, l.err)
}

// Unwrap returns the error without the path.
func (l *located) Unwrap() error { return l.err }
