// Package series keeps series of finished disks in a build store: generations by number, with tags that lead to them.
//
// A generation is a record of digests: the recipe of the disk, the contents of which are in the same store, its sums, its manifest and its inputs. A
// series is a small file. It is replaced as a whole, after everything that it leads to is on the disk: a process that is killed leaves the
// series as it was.
package series

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"imprint/internal/named"
	"imprint/internal/objects"
)

// Current is the tag that every series has: the generation that is used where none is named.
const Current = "current"

// A Store is a directory of series.
type Store struct {
	all      *named.Dir[Series]
	contents *objects.Store
}

// Open returns the series of a build store of contents.
func Open(contents *objects.Store) *Store {
	return &Store{named.Open(contents, "series", kind), contents}
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

// CheckTag reports a name that no tag can have; none is a number.
func CheckTag(tag string) error {
	if _, err := strconv.Atoi(tag); err == nil {
		return fmt.Errorf("%q is the number of a generation, and not a name of a tag", tag)
	}
	return named.Check("a tag", tag)
}

// List returns all series, sorted by name.
func (s *Store) List() ([]*Series, error) { return s.all.List() }

// Series returns a series. The error is a [*named.UnknownError] if there is none of that name.
func (s *Store) Series(name string) (*Series, error) { return s.all.Get(name) }

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
	unknown := &named.UnknownError{What: "tag or generation", Name: tag, Known: slices.Sorted(maps.Keys(e.Tags))}
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
