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
	Stores []string      // the stores that were searched
}

// A MissingItem is an item that no store has.
type MissingItem struct {
	Path      Path
	Referrers []Path // items that refer to it, sorted; none if it is a root
}

// MostReported is the largest number of items, referrers or stores that an error lists.
const MostReported = 20

// Error implements error: one line for each item, up to [MostReported].
func (e *MissingError) Error() string {
	var lines []string
	for _, m := range e.Items[:min(MostReported, len(e.Items))] {
		if len(e.Stores) == 0 {
			lines = append(lines, fmt.Sprintf("%s: there is no store to read it from (%s)", m.Path, m.origin()))
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: not valid in %s (%s)", m.Path, list(e.Stores, ", nor in ", MostReported), m.origin()))
	}
	if more := len(e.Items) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// origin returns why the item is needed, with at most three referrers.
func (m MissingItem) origin() string {
	if len(m.Referrers) == 0 {
		return "named as a root"
	}
	names := make([]string, len(m.Referrers))
	for i, r := range m.Referrers {
		names[i] = r.String()
	}
	return "referred to by " + list(names, ", ", 3)
}

// list joins the first few names, and adds how many more there are.
func list(names []string, separator string, shown int) string {
	if more := len(names) - shown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], separator), more)
	}
	return strings.Join(names, separator)
}

// missingError returns the error about all missing items, sorted so that it is the same every time.
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

// Reading returns an error about reading an item, with its path. If a file has vanished it adds what may have happened.
func Reading(p Path, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%v: %w: was it garbage-collected? Make it a root first (%s)", p, err, p.flavor().RootCommand(p.String()))
	}
	return fmt.Errorf("%v: %w", p, err)
}
