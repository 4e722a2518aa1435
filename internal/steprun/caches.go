package steprun

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"imprint/internal/hosttree"
	"imprint/internal/named"
	"imprint/internal/sandbox"
	"imprint/internal/tree"
	"imprint/internal/workspace"

	"golang.org/x/sys/unix"
)

// Caches are directories of numbered states. A step gets a clone of the last one. When it has succeeded its clone becomes the next one, unless another step
// was faster: then it is discarded. Nobody who reads a state has it removed: clones are made with a shared lock, and states are replaced with an exclusive one.
// Owners are not kept.
type Caches struct{ dir string }

// Caches returns the named caches of the store.
func (r *Runner) Caches() *Caches { return &Caches{filepath.Join(r.Store.Dir(), "caches")} }

// ErrBusy is matched by the error of removing a cache that a step uses.
var ErrBusy = errors.New("is in use by a step")

func (c *Caches) state(name string, number int) string {
	return filepath.Join(c.dir, name, strconv.Itoa(number))
}

// use locks a cache, so that it is not removed.
func (c *Caches) use(ctx context.Context, name, what string, how int) (*os.File, error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	for {
		f, err := lock(filepath.Join(c.dir, name+what), how)
		if f != nil || err != nil {
			return f, err
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
}

// The suffixes of the locks of a cache.
const (
	useLock    = ".use.lock"
	changeLock = ".change.lock"
)

// last returns the number of the last state of a cache, 0 if there is none.
func (c *Caches) last(name string) (last int) {
	entries, _ := os.ReadDir(filepath.Join(c.dir, name))
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			last = max(last, n)
		}
	}
	return last
}

// clone copies the last state of a cache to a directory, and returns its number.
func (c *Caches) clone(ctx context.Context, name, dir string) (int, error) {
	f, err := c.use(ctx, name, changeLock, unix.LOCK_SH)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n := c.last(name)
	if n == 0 {
		return 0, os.Mkdir(dir, 0o755)
	}
	top, err := (&hosttree.Scanner{Special: true}).Read(c.state(name, n))
	if err != nil {
		return 0, err
	}
	b := tree.NewBuilder(&tree.Attr{Mode: 0o755})
	if err := b.Add("/", top, ""); err != nil {
		return 0, err
	}
	t, err := b.Tree()
	if err == nil {
		err = os.Mkdir(dir, 0o755)
	}
	if err == nil {
		err = workspace.Fill(ctx, dir, t, sandbox.Identity{})
	}
	return n, err
}

// snapshot makes a directory the next state of a cache, if the last one has still a number. It reports whether it did.
func (c *Caches) snapshot(ctx context.Context, name, dir string, number int) (bool, error) {
	f, err := c.use(ctx, name, changeLock, unix.LOCK_EX)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if c.last(name) != number {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Join(c.dir, name), 0o700); err != nil {
		return false, err
	}
	if err := os.Rename(dir, c.state(name, number+1)); err != nil {
		return false, err
	}
	return true, os.RemoveAll(c.state(name, number))
}

// A CacheUse is how large a named cache is.
type CacheUse struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Busy  bool   `json:"busy"` // a step uses it
}

// List returns the caches, sorted by name.
func (c *Caches) List() (list []CacheUse, err error) {
	entries, err := os.ReadDir(c.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if !e.IsDir() || c.last(e.Name()) == 0 {
			continue
		}
		use := CacheUse{Name: e.Name()}
		filepath.WalkDir(filepath.Join(c.dir, e.Name()), func(_ string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				if info, err := e.Info(); err == nil {
					use.Bytes += info.Size()
				}
			}
			return nil
		})
		if f, err := lock(filepath.Join(c.dir, e.Name()+useLock), unix.LOCK_EX); f != nil {
			f.Close()
		} else {
			use.Busy = err == nil
		}
		list = append(list, use)
	}
	return list, nil
}

// Remove removes a cache. The error matches [ErrBusy] while a step uses it, and is a [*named.UnknownError] if there is none.
func (c *Caches) Remove(name string) error {
	if err := named.Check("a cache", name); err != nil {
		return err
	}
	if c.last(name) == 0 {
		return c.unknown(name)
	}
	f, err := lock(filepath.Join(c.dir, name+useLock), unix.LOCK_EX)
	if err != nil {
		return err
	}
	if f == nil {
		return fmt.Errorf("the cache %q %w", name, ErrBusy)
	}
	defer f.Close()
	for _, what := range []string{"", changeLock, useLock} { // who waits for a lock sees that it is another file
		if err := os.RemoveAll(filepath.Join(c.dir, name+what)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Caches) unknown(name string) error {
	all, err := c.List()
	if err != nil {
		return err
	}
	e := &named.UnknownError{What: "cache", Name: name}
	for _, one := range all {
		e.Known = append(e.Known, one.Name)
	}
	return e
}

// sweep removes states that are not the last one, and locks. Nobody uses the store.
func (c *Caches) sweep() error {
	entries, err := os.ReadDir(c.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(c.dir, e.Name())
		if strings.HasSuffix(e.Name(), ".lock") {
			os.Remove(path)
			continue
		}
		last := c.last(e.Name())
		states, err := os.ReadDir(path)
		if err != nil {
			return err
		}
		for _, s := range slices.DeleteFunc(states, func(s os.DirEntry) bool { return s.Name() == strconv.Itoa(last) }) {
			if err := os.RemoveAll(filepath.Join(path, s.Name())); err != nil {
				return err
			}
		}
		os.Remove(path) // if it is empty
	}
	os.Remove(c.dir)
	return nil
}

// cacheDir is where the clones of a run are, with a file for each that has the number of the state.
const cacheDir = "caches"

// cloneCaches gives the step its caches.
func (r *run) cloneCaches(ctx context.Context) (binds []sandbox.Bind, err error) {
	if err := os.MkdirAll(filepath.Join(r.space.Dir, cacheDir), 0o700); err != nil {
		return nil, err
	}
	for i, c := range r.step.Caches {
		held, err := r.Caches().use(ctx, c.Name, useLock, unix.LOCK_SH)
		if err != nil {
			return nil, err
		}
		r.held = append(r.held, held)
		name := filepath.Join(cacheDir, strconv.Itoa(i))
		n, err := r.Caches().clone(ctx, c.Name, filepath.Join(r.space.Dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(r.space.Dir, name+".number"), []byte(strconv.Itoa(n)), 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("clone the cache %q: %w", c.Name, err)
		}
		binds = append(binds, sandbox.Bind{From: name, To: c.Target, Dir: true, Writable: true})
	}
	return binds, nil
}

func (r *run) releaseCaches() {
	for _, f := range r.held {
		f.Close()
	}
}

// snapshotCaches takes the caches back. A cache is not worth a failure.
func (r *run) snapshotCaches(ctx context.Context) error {
	for i, c := range r.step.Caches {
		dir := filepath.Join(r.space.Dir, cacheDir, strconv.Itoa(i))
		text, err := os.ReadFile(dir + ".number")
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(text))
		if err != nil {
			return err
		}
		if !r.Identity.Root {
			if _, err := r.Identity.Take(ctx, dir); err != nil {
				return err
			}
		}
		took, err := r.Caches().snapshot(ctx, c.Name, dir, n)
		switch {
		case err != nil:
			r.note(Note, fmt.Sprintf("the cache %q is not kept: %v", c.Name, err))
		case !took:
			r.note(Note, fmt.Sprintf("the cache %q was changed meanwhile, and is not kept", c.Name))
		}
	}
	return nil
}
