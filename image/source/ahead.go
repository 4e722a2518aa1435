package source

import (
	"context"
	"slices"
	"sync"

	"imprint/closure"
)

// inFlight is the number of concurrent lookups. At 50 ms for an answer, a closure of a thousand items would take a minute one by one.
const inFlight = 64

// maxAhead bounds the number of items that are looked up. A larger closure is refused later.
const maxAhead = 1 << 20

// Ahead looks up the closure of roots in the stores, in their order, many items at a time. Caches remember the results, so that
// [closure.Compute], which follows references one by one, need not wait. Errors are remembered, too, for Compute to return. Ahead does
// nothing unless there is a cache among the stores.
func Ahead(ctx context.Context, stores []closure.Store, roots []closure.Path) {
	if !slices.ContainsFunc(stores, func(s closure.Store) bool { _, ok := s.(*Cache); return ok }) {
		return
	}
	f := &frontier{stores: stores, seen: map[closure.Path]bool{}}
	f.more = sync.NewCond(&f.mu)
	f.add(roots)
	var all sync.WaitGroup
	for range inFlight {
		all.Go(func() { f.work(ctx) })
	}
	all.Wait()
}

// A frontier holds the items of a closure that are known and not looked up yet.
type frontier struct {
	stores []closure.Store

	mu    sync.Mutex
	more  *sync.Cond // signals changes of the fields below
	queue []closure.Path
	seen  map[closure.Path]bool
	busy  int // workers during a lookup
}

func (f *frontier) add(paths []closure.Path) {
	for _, p := range paths {
		if !f.seen[p] && len(f.seen) < maxAhead {
			f.seen[p] = true
			f.queue = append(f.queue, p)
		}
	}
}

// work looks up items until none are left and no other worker can find more.
func (f *frontier) work(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		for len(f.queue) == 0 && f.busy > 0 {
			f.more.Wait()
		}
		if len(f.queue) == 0 || ctx.Err() != nil {
			f.more.Broadcast()
			return
		}
		p := f.queue[0]
		f.queue = f.queue[1:]
		f.busy++
		f.mu.Unlock()
		found := f.references(ctx, p)
		f.mu.Lock()
		f.busy--
		f.add(found)
		f.more.Broadcast()
	}
}

// references returns the references of an item in the first store that has it.
func (f *frontier) references(ctx context.Context, p closure.Path) []closure.Path {
	for _, s := range f.stores {
		if info, err := s.Info(ctx, p); err == nil {
			return info.References
		}
	}
	return nil
}
