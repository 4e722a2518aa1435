package closures

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"imprint/closure"
	"imprint/internal/diag"
)

// unreadable collects items that are registered but missing, or that contain what no item may.
type unreadable struct {
	mu   sync.Mutex
	errs map[closure.Path]error
}

// add records an error about an item, so that all are reported at once. It returns errors that are not the item's fault, such
// as a missing permission.
func (u *unreadable) add(path closure.Path, err error) error {
	var invalid *closure.InvalidError
	if !errors.As(err, &invalid) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.errs == nil {
		u.errs = map[closure.Path]error{}
	}
	u.errs[path] = err
	return nil
}

// problems returns the first errors by path, and the number of the others. items are all that may refer to one of them.
func (u *unreadable) problems(key diag.Key, f closure.Flavor, items []closure.Item) (list diag.List) {
	paths := make([]closure.Path, 0, len(u.errs))
	for path := range u.errs {
		paths = append(paths, path)
	}
	slices.SortFunc(paths, closure.Path.Compare)
	shown := paths[:min(closure.MostReported, len(paths))]
	referrers := referrersOf(shown, items)
	for _, path := range shown {
		text := fmt.Sprintf("%v is registered, but: %v", path, u.errs[path])
		if from := referrers[path]; len(from) > 0 {
			text += " (referred to by " + strings.Join(from, ", ") + ")"
		}
		hint := ""
		if errors.Is(u.errs[path], fs.ErrNotExist) {
			hint = "was it garbage-collected? add a GC root (" + f.RootCommand("PATH") + ")"
		}
		list = append(list, key.Problem(text, hint))
	}
	if more := len(paths) - len(shown); more > 0 {
		list = append(list, key.Problem(fmt.Sprintf("%d more items are registered and cannot be read", more), ""))
	}
	slices.SortFunc(list, func(a, b diag.Problem) int { return strings.Compare(a.Text, b.Text) })
	return list
}

// referrersOf returns up to three items that refer to each path, in one pass over all items.
func referrersOf(paths []closure.Path, items []closure.Item) map[closure.Path][]string {
	const most = 3
	from := make(map[closure.Path][]string, len(paths))
	for _, path := range paths {
		from[path] = nil
	}
	for _, item := range items {
		for _, ref := range item.Info.References {
			if known, wanted := from[ref]; wanted && len(known) < most && ref != item.Info.Path {
				from[ref] = append(known, item.Info.Path.String())
			}
		}
	}
	return from
}
