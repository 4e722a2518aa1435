package target

import (
	"context"
	"fmt"
	"os"
	"sync"

	"imprint/closure"

	"golang.org/x/sys/unix"
)

// A registrar registers items that are written, in their order, some at a time.
type registrar struct {
	*Directory
	items []closure.Item

	mu     sync.Mutex
	done   []bool
	next   int   // of the first item that is not registered
	weight int64 // of those that are written and not registered
}

// An interrupted copy loses at most the work for so many bytes, where an item counts for at least a small part of that.
const (
	mostLost = 256 << 20
	leastOne = mostLost / 4096
)

// note takes note that an item is written.
func (r *registrar) note(ctx context.Context, i int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done[i] = true
	if r.weight += max(leastOne, r.items[i].Info.NARSize); r.weight < mostLost {
		return nil
	}
	return r.register(ctx)
}

// flush registers the items that are written, after whose beginning none is missing.
func (r *registrar) flush(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.register(ctx)
}

func (r *registrar) register(ctx context.Context) error {
	r.weight = 0
	var infos []*closure.Info
	for ; r.next < len(r.items) && r.done[r.next]; r.next++ {
		infos = append(infos, r.items[r.next].Info)
	}
	if len(infos) == 0 {
		return nil
	}
	if err := r.sync(); err != nil {
		return err
	}
	return r.Flavor.Register(ctx, r.Prefix, infos, r.Epoch, false)
}

// sync waits until all that was written to the file system of the store is on the disk.
func (r *registrar) sync() error {
	if r.NoSync {
		return nil
	}
	dir, err := os.Open(r.String())
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", r, err)
	}
	return nil
}

var _ Target = (*Directory)(nil)
