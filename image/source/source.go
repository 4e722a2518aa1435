// Package source opens the places that store items come from and that are no stores on a disk: binary caches ([Cache]) and export streams
// ([Export]). Both are a [closure.Store], so the rest of the program does not know where an item came from, and an image does not depend on it.
//
// A cache has texts about its items, which say what a closure has, and files that have to be read from the beginning to the end. So its items
// are fetched ([Realise]) once their closure is known: unpacked, compared with the hash in the text, and kept in the build store, where every
// content has its digest as its name. From there they are read like files of any other store, at any offset, and more than once.
package source

import (
	"context"
	"fmt"
	"sync/atomic"

	"imprint/closure"
)

// An InvalidError reports what a source says wrongly: the source itself has to be mended, or its key in the description.
type InvalidError struct {
	Source closure.Store
	Text   string
	Hint   string // may be empty
}

// Error implements error.
func (e *InvalidError) Error() string { return fmt.Sprintf("%v: %s", e.Source, e.Text) }

// A realiser is a store whose items are fetched before they are read.
type realiser interface {
	closure.Store
	realise(ctx context.Context, items []*closure.Info, report Report) error
}

// A Fetch is what is fetched from a source.
type Fetch struct {
	From  closure.Store
	Items int
	Total int64 // bytes that the items have, unpacked
	done  atomic.Int64
}

// Done returns how many of the bytes were fetched so far.
func (f *Fetch) Done() int64 { return f.done.Load() }

// A Report is called before items are fetched.
type Report func(*Fetch)

// Realise fetches the items of a closure that come from caches, unless they are kept. Before, they cannot be read. It also fills in the outputs
// of derivations, which are known only then.
//
// The error matches [cas.ErrMismatch] if a content is not what it should be.
func Realise(ctx context.Context, c *closure.Closure, report Report) error {
	items := map[realiser][]*closure.Info{}
	var order []realiser
	for _, item := range c.Items {
		if s, ok := item.Store.(realiser); ok {
			if items[s] == nil {
				order = append(order, s)
			}
			items[s] = append(items[s], item.Info)
		}
	}
	for _, s := range order {
		if err := s.realise(ctx, items[s], report); err != nil {
			return err
		}
	}
	return nil
}
