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
	mu    sync.Mutex
	texts map[closure.Path]string
}

// add keeps an error about an item, so that all are reported at once. It returns what is not the item's fault, such as a missing permission.
func (u *unreadable) add(path closure.Path, err error) error {
	var invalid *closure.InvalidError
	if !errors.As(err, &invalid) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.texts == nil {
		u.texts = map[closure.Path]string{}
	}
	u.texts[path] = fmt.Sprintf("%v is registered, but: %v", path, err)
	return nil
}

// problems reports them, each with a few of the items that refer to it.
func (u *unreadable) problems(key diag.Key, all *closure.Closure) (list diag.List) {
	const shown = 3
	referrers := map[closure.Path][]string{}
	for _, item := range all.Items {
		for _, r := range item.Info.References {
			if u.texts[r] != "" && r != item.Info.Path && len(referrers[r]) < shown {
				referrers[r] = append(referrers[r], item.Info.Path.String())
			}
		}
	}
	for path, text := range u.texts {
		if from := referrers[path]; len(from) > 0 {
			text += " (referred to by " + strings.Join(from, ", ") + ")"
		}
		list = append(list, key.Problem(text, ""))
	}
	slices.SortFunc(list, func(a, b diag.Problem) int { return strings.Compare(a.Text, b.Text) })
	return list
}
