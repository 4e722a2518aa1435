// Package series keeps series of finished disks in a build store: generations by number, with tags that lead to them.
//
// A generation is a record of digests: the recipe of the disk, the contents of which are in the same store, its sums, its manifest and its inputs. A
// series is a small file. It is replaced as a whole, after everything that it leads to is on the disk: a process that is killed leaves the
// series as it was.
package series

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"imprint/internal/objects"
)

// Current is the tag that every series has: the generation that is used where none is named.
const Current = "current"

// A Store is a directory of series.
type Store struct {
	dir      string
	contents *objects.Store
}

// Open returns the series of a build store of contents.
func Open(contents *objects.Store) *Store {
	return &Store{filepath.Join(contents.Dir(), "series"), contents}
}

// Contents returns the store that has the contents.
func (s *Store) Contents() *objects.Store { return s.contents }

// A Generation is a disk of a series.
type Generation struct {
	Number int
	Record objects.Digest // of a Record
}

// A Series is generations, the oldest first, and tags that lead to their numbers.
type Series struct {
	Name        string
	Generations []Generation
	Tags        map[string]int
	Files       []File    // of the host that hold a generation
	Pending     []Pending // updates that have begun and not ended
}

// An UnknownError reports a series, or a generation of one, that is not there.
type UnknownError struct {
	What, Name string
	Known      []string // names of that kind
}

// Error implements error.
func (e *UnknownError) Error() string { return fmt.Sprintf("there is no %s %q", e.What, e.Name) }

var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)

// CheckName reports a name that no series and no tag can have.
func CheckName(what, name string) error {
	if !names.MatchString(name) {
		return fmt.Errorf("%.80q is not a name of %s: letters, digits and ._+- are allowed, at most 128, and it begins with a letter or a digit", name, what)
	}
	return nil
}

// CheckTag is CheckName for a tag, which is no number either.
func CheckTag(tag string) error {
	if _, err := strconv.Atoi(tag); err == nil {
		return fmt.Errorf("%q is the number of a generation, and not a name of a tag", tag)
	}
	return CheckName("a tag", tag)
}

// List returns all series, sorted by name.
func (s *Store) List() (list []*Series, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if !names.MatchString(e.Name()) {
			continue // such as one that was being written when its process was killed
		}
		one, err := s.read(e.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// Series returns a series. The error is an [*UnknownError] if there is none of that name.
func (s *Store) Series(name string) (*Series, error) {
	if err := CheckName("a series", name); err != nil {
		return nil, err
	}
	one, err := s.read(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return one, err
	}
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	unknown := &UnknownError{What: "series", Name: name}
	for _, e := range all {
		unknown.Known = append(unknown.Known, e.Name)
	}
	return nil, unknown
}

// maxFile bounds the file of a series, in bytes.
const maxFile = 16 << 20

func (s *Store) read(name string) (*Series, error) {
	path := filepath.Join(s.dir, name)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("read %s: %w", path, errForm)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	one, err := parse(name, text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return one, nil
}

// Find returns the generation that a tag or a number names; "" is the current one.
func (e *Series) Find(tag string) (Generation, error) {
	if tag == "" {
		tag = Current
	}
	number, has := e.Tags[tag]
	if n, err := strconv.Atoi(tag); !has && err == nil {
		number = n
	}
	if g, has := e.number(number); has {
		return g, nil
	}
	unknown := &UnknownError{What: "tag or generation", Name: tag, Known: slices.Sorted(maps.Keys(e.Tags))}
	for _, g := range e.Generations {
		unknown.Known = append(unknown.Known, strconv.Itoa(g.Number))
	}
	return Generation{}, unknown
}

// number returns the generation with a number.
func (e *Series) number(n int) (g Generation, has bool) {
	for _, g := range e.Generations {
		if g.Number == n {
			return g, true
		}
	}
	return g, false
}

// TagsOf returns the tags of a generation, sorted.
func (e *Series) TagsOf(number int) []string {
	tags := []string{}
	for tag, n := range e.Tags {
		if n == number {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags
}
