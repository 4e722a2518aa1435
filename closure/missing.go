package closure

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// A MissingError lists the items of a closure that no store has.
type MissingError struct {
	Items  []MissingItem // sorted by path
	Stores []string      // the stores that were asked
}

// A MissingItem is an item that no store has.
type MissingItem struct {
	Path      Path
	Referrers []Path // items that refer to it, sorted; none if it is a root
}

// MostReported is how many items an error names that is about any number of them.
const MostReported = 20

// Error implements error: one line for each of the first [MostReported] items, and one that says how many more there are.
func (e *MissingError) Error() string {
	lines := make([]string, min(MostReported, len(e.Items)))
	for i, m := range e.Items[:len(lines)] {
		lines[i] = fmt.Sprintf("%s: not valid in %s (%s)", m.Path, strings.Join(e.Stores, ", nor in "), m.origin())
		if len(e.Stores) == 0 {
			lines[i] = fmt.Sprintf("%s: there is no store to read it from (%s)", m.Path, m.origin())
		}
	}
	if more := len(e.Items) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more items", more))
	}
	return strings.Join(lines, "\n")
}

// origin says why the item is needed, naming at most three referrers.
func (m MissingItem) origin() string {
	if len(m.Referrers) == 0 {
		return "named as a root"
	}
	var names []string
	for _, r := range m.Referrers[:min(3, len(m.Referrers))] {
		names = append(names, r.String())
	}
	s := "referred to by " + strings.Join(names, ", ")
	if more := len(m.Referrers) - len(names); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

func (t *traversal) missingError() error {
	e := &MissingError{}
	for p, from := range t.missing {
		slices.SortFunc(from, Path.Compare)
		e.Items = append(e.Items, MissingItem{p, from})
	}
	slices.SortFunc(e.Items, func(a, b MissingItem) int { return a.Path.Compare(b.Path) })
	for _, s := range t.stores {
		e.Stores = append(e.Stores, fmt.Sprint(s))
	}
	return e
}

// Reading is an error about reading an item, with its path. Where a file has vanished it says what may have happened.
func Reading(p Path, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%v: %w: was it garbage-collected? Make it a root first (nix-store --add-root LINK --realise %v)", p, err, p)
	}
	return fmt.Errorf("%v: %w", p, err)
}
