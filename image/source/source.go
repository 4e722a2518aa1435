// Package source opens sources of store items other than stores on a disk: binary caches ([Cache]) and export streams ([Export]). Both are a
// [closure.Store], so the rest of the program does not know where an item came from, and an image does not depend on it.
//
// A cache has a narinfo for each item, from which closures are computed, and an archive, which can only be read from start to end. So once
// their closure is known, items are fetched ([Realise]): unpacked, compared with the hash in the narinfo, and kept in the build store under
// their digest. From there they are read like files of any other store, at any offset, and more than once.
package source

import (
	"context"
	"fmt"
	"sync/atomic"

	"imprint/closure"
)

// An InvalidError reports a fault of a source: the source itself has to be mended, or its key in the description.
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

// A Fetch describes the fetching of items from a source.
type Fetch struct {
	From  closure.Store
	Items int
	Total int64 // bytes of the items, unpacked
	done  atomic.Int64
}

// Done returns the number of bytes, unpacked, that were fetched so far.
func (f *Fetch) Done() int64 { return f.done.Load() }

// A Report is called before fetching begins.
type Report func(*Fetch)

// Realise fetches the items of a closure that come from caches, unless the build store has them. They cannot be read before. It also fills in
// the outputs of derivations, which only their contents show.
//
// The error matches [cas.ErrMismatch] if a content does not have the promised hash or size.
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
