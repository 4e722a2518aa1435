// Package environment keeps environments: named stacks of layers, with tags that lead to them. Layers and contents are in a store by digest, each once,
// whichever environments have them.
//
// A stack is a chain of links. A link names the one below it and a layer; its digest is the pin of the stack. So a pin says what the whole stack
// is, and that can be checked without its layers. An environment is a small file of tags and pins. It is replaced as a whole, after everything that it
// leads to is on the disk: a process that is killed leaves the environment as it was.
package environment

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"imprint/internal/named"
	"imprint/internal/objects"
	"imprint/internal/stepstore"
)

// Tags that every environment has.
const (
	Root    = "root"    // its first layer; it never moves
	Current = "current" // what is used where no tag is given
)

// A Store is a directory of environments.
type Store struct {
	dir      string
	all      *named.Dir[Environment]
	contents *objects.Store
	steps    *stepstore.Store
	others   []Roots
}

// Roots adds to live the digests of everything that something else than an environment leads to, in the same store of contents.
type Roots func(live map[objects.Digest]bool) error

// Open returns the store in a directory, which is made when something is added.
func Open(dir string) (*Store, error) {
	contents, err := objects.Open(filepath.Join(dir, "layers"))
	if err != nil {
		return nil, err
	}
	return &Store{contents.Dir(), named.Open(contents, "environments", kind), contents, stepstore.Open(filepath.Join(contents.Dir(), "steps")), nil}, nil
}

// Share makes others count when something is collected or removed.
func (s *Store) Share(others ...Roots) { s.others = append(s.others, others...) }

// Contents returns the store that has the contents.
func (s *Store) Contents() *objects.Store { return s.contents }

// Steps returns the results of commands, whose layers are among those of the store and are kept as those of environments are.
func (s *Store) Steps() *stepstore.Store { return s.steps }

// Dir returns the absolute path of the directory with the layers.
func (s *Store) Dir() string { return s.dir }

// An Environment is a set of tags.
type Environment struct {
	Name string
	Tags map[string]objects.Digest // the pin of a stack for each
}

// List returns all environments, sorted by name.
func (s *Store) List() ([]*Environment, error) { return s.all.List() }

// Environment returns an environment. The error is a [*named.UnknownError] if there is none of that name.
func (s *Store) Environment(name string) (*Environment, error) { return s.all.Get(name) }

var kind = &named.Kind[Environment]{Word: "environment", Article: "an", Lines: (*Environment).lines, Parse: parse}

// lines has a tag and its pin in each, sorted by tag.
func (e *Environment) lines() (b []byte) {
	for _, tag := range slices.Sorted(maps.Keys(e.Tags)) {
		b = fmt.Appendf(b, "%s %s\n", tag, objects.Text(e.Tags[tag]))
	}
	return b
}

// parse is the inverse of lines.
func parse(name string, lines []byte) (*Environment, error) {
	e := &Environment{Name: name, Tags: map[string]objects.Digest{}}
	for line := range bytes.Lines(lines) {
		tag, pin, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		d, err := objects.Parse(pin)
		if err = errors.Join(named.Check("a tag", tag), err); err != nil {
			return nil, err
		}
		e.Tags[tag] = d
	}
	for _, tag := range []string{Root, Current} {
		if _, has := e.Tags[tag]; !has {
			return nil, fmt.Errorf("has no tag %q", tag)
		}
	}
	return e, nil
}

// Pin returns the pin that a tag leads to; "" is the current one. A pin itself, or the first 7 digits or more of one of the stacks below the tags,
// counts as well.
func (s *Store) Pin(e *Environment, tag string) (objects.Digest, error) {
	if tag == "" {
		tag = Current
	}
	if pin, has := e.Tags[tag]; has {
		return pin, nil
	}
	if len(tag) >= shortest {
		if pin, found, err := s.abbreviated(e, tag); found || err != nil {
			return pin, err
		}
	}
	return objects.Digest{}, &named.UnknownError{What: "tag or pin", Name: tag, Known: slices.Sorted(maps.Keys(e.Tags))}
}

// shortest is the number of digits that a pin is abbreviated to at most.
const shortest = 7

func (s *Store) abbreviated(e *Environment, digits string) (pin objects.Digest, found bool, err error) {
	for _, top := range e.Tags {
		stack, err := s.Stack(top)
		if err != nil {
			return pin, false, err
		}
		for _, link := range stack {
			if !strings.HasPrefix(objects.Text(link.Pin), digits) {
				continue
			}
			if found && pin != link.Pin {
				return pin, false, fmt.Errorf("%q begins the pins of several stacks: write more digits", digits)
			}
			pin, found = link.Pin, true
		}
	}
	return pin, found, nil
}
