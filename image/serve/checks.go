package serve

import (
	"context"
	"sync"
	"sync/atomic"

	"imprint/internal/processors"

	"golang.org/x/sync/errgroup"
)

// A check is something with a hash: a store item, or a host file with a pin.
type check struct {
	name    string
	run     func(context.Context) error
	touched atomic.Bool
	started atomic.Bool
}

// checks runs each check once, when it is touched first.
type checks struct {
	list    []*check
	queue   chan *check // buffered for all checks, so that touch never blocks
	cancel  context.CancelFunc
	workers sync.WaitGroup
	touched atomic.Int64
	done    atomic.Int64
}

// start starts the workers. They call failed with the error of each check that fails.
func (c *checks) start(list []*check, failed func(error)) {
	ctx, cancel := context.WithCancel(context.Background())
	c.list, c.queue, c.cancel = list, make(chan *check, len(list)), cancel
	for range max(1, processors.Count()/2) { // leave processors for those who read
		c.workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case one := <-c.queue:
					if err := c.one(ctx, one); err != nil && ctx.Err() == nil {
						failed(err)
					}
				}
			}
		})
	}
}

// touch queues a check when something that it covers is read for the first time.
func (c *checks) touch(one *check) {
	if one.touched.Load() || one.touched.Swap(true) {
		return
	}
	c.touched.Add(1)
	if one.started.Load() {
		return
	}
	c.queue <- one
}

// one runs a check once, and returns its error.
func (c *checks) one(ctx context.Context, one *check) error {
	if one.started.Swap(true) {
		return nil
	}
	err := one.run(ctx)
	if err == nil {
		c.done.Add(1)
	}
	return changed(err)
}

// all runs all checks, several at a time, and returns the first error.
func (c *checks) all(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(processors.Count())
	for _, one := range c.list {
		group.Go(func() error { return c.one(ctx, one) })
	}
	return group.Wait()
}

// counts returns the number of checks that were touched, and of those that are done.
func (c *checks) counts() (touched, done int) { return int(c.touched.Load()), int(c.done.Load()) }

func (c *checks) stop() {
	if c.cancel != nil {
		c.cancel()
		c.workers.Wait()
	}
}
