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
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

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
	return &Store{contents.Dir(), contents, stepstore.Open(filepath.Join(contents.Dir(), "steps")), nil}, nil
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

// An UnknownError reports an environment or a tag that is not there.
type UnknownError struct {
	What, Name string
	Known      []string // names of that kind, sorted
}

// Error implements error.
func (e *UnknownError) Error() string { return fmt.Sprintf("there is no %s %q", e.What, e.Name) }

var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)

// CheckName reports a name that no environment and no tag can have.
func CheckName(what, name string) error {
	if !names.MatchString(name) {
		return fmt.Errorf("%.80q is not a name of %s: letters, digits and ._+- are allowed, at most 128, and it begins with a letter or a digit", name, what)
	}
	return nil
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, "environments", name) }

// List returns all environments, sorted by name.
func (s *Store) List() (list []*Environment, err error) {
	entries, err := os.ReadDir(s.path(""))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		if !names.MatchString(entry.Name()) {
			continue // such as one that was being written when its process was killed
		}
		e, err := s.read(entry.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// Environment returns an environment. The error is an [*UnknownError] if there is none of that name.
func (s *Store) Environment(name string) (*Environment, error) {
	if err := CheckName("an environment", name); err != nil {
		return nil, err
	}
	e, err := s.read(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return e, err
	}
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	unknown := &UnknownError{What: "environment", Name: name}
	for _, e := range all {
		unknown.Known = append(unknown.Known, e.Name)
	}
	return nil, unknown
}

const version = "imprint environment 1\n"

// maxFile bounds the file of an environment, in bytes.
const maxFile = 16 << 20

func (s *Store) read(name string) (*Environment, error) {
	f, err := os.Open(s.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("read %s: is not the file of an environment", f.Name())
	}
	text, err := os.ReadFile(s.path(name))
	if err != nil {
		return nil, err
	}
	e, err := parse(name, text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.path(name), err)
	}
	return e, nil
}

// text is the file of an environment: a line with the version, then a tag and its pin in each, sorted by tag.
func (e *Environment) text() []byte {
	b := []byte(version)
	for _, tag := range slices.Sorted(maps.Keys(e.Tags)) {
		b = fmt.Appendf(b, "%s %s\n", tag, objects.Text(e.Tags[tag]))
	}
	return b
}

// parse is the inverse of text.
func parse(name string, text []byte) (*Environment, error) {
	rest, ok := bytes.CutPrefix(text, []byte(version))
	if !ok {
		return nil, errors.New("is not the file of an environment")
	}
	e := &Environment{Name: name, Tags: map[string]objects.Digest{}}
	for line := range bytes.Lines(rest) {
		tag, pin, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		d, err := objects.Parse(pin)
		if err = errors.Join(CheckName("a tag", tag), err); err != nil {
			return nil, err
		}
		e.Tags[tag] = d
	}
	for _, tag := range []string{Root, Current} {
		if _, has := e.Tags[tag]; !has {
			return nil, fmt.Errorf("has no tag %q", tag)
		}
	}
	if !bytes.Equal(e.text(), text) {
		return nil, errors.New("is not in the form in which it is written")
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
	return objects.Digest{}, &UnknownError{What: "tag or pin", Name: tag, Known: slices.Sorted(maps.Keys(e.Tags))}
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
