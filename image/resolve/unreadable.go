package resolve

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

// unreadable gathers items that are registered, but cannot be in an image: they are not there, or hold what no item may hold.
type unreadable struct {
	mu   sync.Mutex
	errs map[closure.Path]error
}

// add keeps an error about an item, so that all are reported at once. It returns what is not the item's fault, such as a missing permission.
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

// problems are the first ones by path, and how many more there are; items are all that might refer to one of them.
func (u *unreadable) problems(key diag.Key, items []closure.Item) (list diag.List) {
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
			hint = collected
		}
		list = append(list, key.Problem(text, hint))
	}
	if more := len(paths) - len(shown); more > 0 {
		list = append(list, key.Problem(fmt.Sprintf("%d more items are registered and cannot be read", more), ""))
	}
	slices.SortFunc(list, func(a, b diag.Problem) int { return strings.Compare(a.Text, b.Text) })
	return list
}

// collected is the hint for an item that is not there.
const collected = "was it garbage-collected? make what is needed a root first (nix-store --add-root LINK --realise PATH)"

// referrersOf are the first three items that refer to each of the paths, in one pass over all.
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
