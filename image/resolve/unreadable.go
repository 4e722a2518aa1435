package resolve

import (
	"context"
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
	texts []string
}

// add keeps an error about an item, for all of them to be told at once. What is not the item's fault, such as a missing permission, it
// gives back.
func (u *unreadable) add(all *closure.Closure, path closure.Path, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, fs.ErrPermission) {
		return err
	}
	var referrers []string
	for _, item := range all.Items {
		if item.Info.Path != path && slices.Contains(item.Info.References, path) {
			referrers = append(referrers, item.Info.Path.String())
		}
	}
	text := fmt.Sprintf("%v is registered, but: %v", path, err)
	if len(referrers) > 0 {
		text += " (referred to by " + strings.Join(referrers[:min(3, len(referrers))], ", ") + ")"
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.texts = append(u.texts, text)
	return nil
}

func (u *unreadable) problems(key diag.Key) (list diag.List) {
	slices.Sort(u.texts)
	for _, text := range u.texts {
		list = append(list, key.Problem(text, ""))
	}
	return list
}
