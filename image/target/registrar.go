package target

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"imprint/closure"
	"imprint/closure/locks"
	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// A registrar registers items that are written, in their order, some at a time.
type registrar struct {
	*Directory
	items []closure.Item

	mu      sync.Mutex
	done    []bool
	written []fs.FileInfo // what was written of each item; nil for what was there
	next    int           // of the first item that is not registered
	weight  int64         // of those that are written and not registered
}

// An interrupted copy loses at most the work for so many bytes, where an item counts for at least a small part of that.
const (
	mostLost = 256 << 20
	leastOne = mostLost / 4096
)

// note takes note that an item is written.
func (r *registrar) note(ctx context.Context, i int, written fs.FileInfo) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done[i], r.written[i] = true, written
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

// discard removes what was written and is not registered.
func (r *registrar) discard(ctx context.Context) error {
	var failed error
	for i, written := range r.written {
		if written != nil {
			failed = errors.Join(failed, r.discardOne(ctx, r.items[i].Info.Path, written))
		}
	}
	return failed
}

// discardOne leaves an item alone that is valid, or that another program has written since.
func (r *registrar) discardOne(ctx context.Context, p closure.Path, written fs.FileInfo) error {
	path := r.at(p.String())
	release, err := locks.Path(ctx, path)
	if err != nil {
		return err
	}
	defer release()
	now, err := os.Lstat(path)
	if err != nil || !unchanged(now, written) {
		return nil
	}
	if valid, err := r.valid(ctx, p); err != nil || valid[p] {
		return err
	}
	return remove(path)
}

// unchanged reports whether a file is the same one and has not changed. Its inode number may be that of one that was removed, but then its change time is
// another.
func unchanged(a, b fs.FileInfo) bool {
	x, y := a.Sys().(*syscall.Stat_t), b.Sys().(*syscall.Stat_t)
	return os.SameFile(a, b) && x.Ctim == y.Ctim
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

// Root makes a GC root: a link to an item, with a name in the directory of GC roots. One of that name is replaced. Until Close, what was copied
// is kept without it.
func (d *Directory) Root(ctx context.Context, name string, item closure.Path) error {
	if err := d.CheckRoot(name); err != nil {
		return err
	}
	at := d.at(d.Flavor.GCRoots() + "/" + name)
	part := fmt.Sprintf("%s/.%s-%d", filepath.Dir(at), name, os.Getpid())
	if err := os.Symlink(item.String(), part); err != nil {
		return err
	}
	if err := errors.Join(os.Rename(part, at), removed(part)); err != nil || d.roots == nil {
		return err
	}
	return d.roots.Announce(ctx, []string{item.String()})
}

// CheckRoot returns an error unless a GC root may have a name.
func (d *Directory) CheckRoot(name string) error {
	if err := tree.CheckName(name); err != nil || d.Flavor.Reserves(name) || strings.HasPrefix(name, ".") {
		return fmt.Errorf("%q cannot be the name of a GC root", name)
	}
	return nil
}

// removed removes what is still there.
func removed(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
