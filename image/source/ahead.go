package source

import (
	"context"
	"slices"
	"sync"

	"imprint/closure"
)

// inFlight is how many items are looked up at a time. At 50 ms for an answer, one after the other would take a minute for a closure of a
// thousand items.
const inFlight = 64

// maxAhead is how many items are looked up ahead: a closure with more is refused later.
const maxAhead = 1 << 20

// Ahead looks up the closure of roots, many items at a time, in the stores in their order. Caches keep what they find, so that
// [closure.Compute], which follows references one by one, finds everything there. Without a cache among the stores it does nothing. Errors are
// kept as well, and are those of Compute.
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

// A frontier is what is known of a closure and not looked up yet.
type frontier struct {
	stores []closure.Store

	mu    sync.Mutex
	more  *sync.Cond // signals changes of what follows
	queue []closure.Path
	seen  map[closure.Path]bool
	busy  int // workers that look something up
}

func (f *frontier) add(paths []closure.Path) {
	for _, p := range paths {
		if !f.seen[p] && len(f.seen) < maxAhead {
			f.seen[p] = true
			f.queue = append(f.queue, p)
		}
	}
}

// work looks up items until there are none left and no worker can find more.
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
