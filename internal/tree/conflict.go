package tree

import (
	"fmt"
	"strings"
)

// A Conflict is a path that was added twice, not both times as a directory, or that is below something that is not a directory.
type Conflict struct {
	Path          string
	First, Second string // origins, as passed to Add
	Reason        string
	Kind          Kind // of what is there
}

// Error implements error.
func (c *Conflict) Error() string {
	s := Shown(c.Path) + ": " + c.Reason
	if c.First != "" {
		s += " (" + c.First + ")"
	}
	return s
}

// Conflicts are all conflicts of one addition. It unwraps to those in List.
type Conflicts struct {
	List []*Conflict // the first ones, at most 16
	More int         // how many others there are
}

// mostConflicts bounds how many conflicts are kept: a tree of a million files may be added twice.
const mostConflicts = 16

// Error implements error.
func (c *Conflicts) Error() string {
	var texts []string
	for _, one := range c.List {
		texts = append(texts, one.Error())
	}
	if c.More > 0 {
		texts = append(texts, fmt.Sprintf("%d more", c.More))
	}
	return strings.Join(texts, "; ")
}

// Unwrap lets [errors.As] find the first conflict.
func (c *Conflicts) Unwrap() []error {
	var all []error
	for _, one := range c.List {
		all = append(all, one)
	}
	return all
}

func (c *Conflicts) err() error {
	if len(c.List) == 0 {
		return nil
	}
	return c
}

// conflict records a path that is taken, or whose way leads through old.
func (a *addition) conflict(path string, old *Node, reason string) {
	if len(a.conflicts.List) == mostConflicts {
		a.conflicts.More++
		return
	}
	a.conflicts.List = append(a.conflicts.List, &Conflict{path, a.stated[old], a.origin, reason, old.kind})
}
