package target

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"imprint/closure"
	"imprint/closure/locks"
	"imprint/internal/hosttree"
	"imprint/internal/processors"

	"golang.org/x/sync/errgroup"
)

// A Directory is a store directory on this machine with its database. Other programs may use it at the same time.
type Directory struct {
	DirectoryOptions
	open  *os.File         // the lock that says that the store is in use
	roots *locks.TempRoots // nil before Lacking
}

// DirectoryOptions describe a store directory.
type DirectoryOptions struct {
	Prefix string // path before the store directory on this machine: "" for the machine's own store
	Flavor closure.Flavor
	Epoch  int64 // when items are registered, in seconds since 1970
	NoSync bool  // registers items before their contents are on the disk
}

// OpenDirectory opens a store directory, and creates what it lacks, as Nix and Guix do: the directories, a database without items, and the link
// from the GC roots to the profiles.
func OpenDirectory(ctx context.Context, o DirectoryOptions) (*Directory, error) {
	o.Prefix = strings.TrimRight(o.Prefix, "/")
	d := &Directory{DirectoryOptions: o}
	f := o.Flavor
	_, err := os.Lstat(d.at(f.GCRoots()))
	fresh := errors.Is(err, fs.ErrNotExist)
	dirs := []string{f.StoreDir + "/.links"}
	for _, dir := range f.StateDirs() {
		dirs = append(dirs, f.StateDir+dir)
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(d.at(dir), 0o755); err != nil {
			return nil, err
		}
	}
	if fresh {
		if err := os.Symlink(f.Profiles(), d.at(f.GCRoots()+"/profiles")); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	if d.open, err = locks.Share(ctx, d.at(f.StateDir+"/db/big-lock")); err != nil {
		return nil, err
	}
	if err := d.database(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// database makes a database if there is none, and then the file that says its version.
func (d *Directory) database(ctx context.Context) error {
	if _, err := os.Lstat(d.at(d.Flavor.Database())); errors.Is(err, fs.ErrNotExist) {
		if err := d.Flavor.Register(ctx, d.Prefix, nil, d.Epoch, false); err != nil {
			return err
		}
	} else if err := d.Flavor.Recover(ctx, d.Prefix); err != nil {
		return err
	}
	schema := d.at(d.Flavor.StateDir + "/db/schema")
	if _, err := os.Lstat(schema); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(schema, []byte(d.Flavor.Schema), 0o644)
}

// at returns the path on this machine of one in the store.
func (d *Directory) at(path string) string { return d.Prefix + path }

// String returns the store directory on this machine.
func (d *Directory) String() string { return d.at(d.Flavor.StoreDir) }

// Close lets others change the store.
func (d *Directory) Close() error {
	if d.roots != nil {
		d.roots.Close()
	}
	return d.open.Close()
}

// Lacking implements [Target]. From then on temporary roots keep the paths, also those that are valid: what is added may refer to them.
func (d *Directory) Lacking(ctx context.Context, paths []closure.Path) ([]closure.Path, error) {
	if err := d.hold(ctx, paths); err != nil {
		return nil, err
	}
	valid, err := d.valid(ctx, paths...)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(paths), func(p closure.Path) bool { return valid[p] }), nil
}

// valid returns which paths are valid now.
func (d *Directory) valid(ctx context.Context, paths ...closure.Path) (map[closure.Path]bool, error) {
	s, err := closure.OpenLocal(ctx, d.Prefix, d.Flavor, new(hosttree.Scanner).Read)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Valid(ctx, paths)
}

// Put implements [Target]. Items are written several at a time, and registered in their order. Those that cannot be registered, since one before them is
// missing, are removed.
func (d *Directory) Put(ctx context.Context, items []closure.Item, p *Progress) error {
	if len(items) == 0 {
		return nil
	}
	r := &registrar{Directory: d, items: items, done: make([]bool, len(items)), written: make([]fs.FileInfo, len(items))}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(2 * processors.Count())
	for i := range items {
		group.Go(func() error {
			if inner.Err() != nil {
				return context.Cause(inner)
			}
			written, err := d.write(inner, items[i], p)
			if err != nil {
				return err
			}
			return r.note(inner, i, written)
		})
	}
	ctx = context.WithoutCancel(ctx)
	err := group.Wait()
	if err = errors.Join(err, r.flush(ctx)); err != nil {
		err = errors.Join(err, r.discard(ctx))
	}
	return err
}

// hold makes paths temporary roots, so that no collector takes them, now or when they are there.
func (d *Directory) hold(ctx context.Context, paths []closure.Path) (err error) {
	if len(paths) == 0 {
		return nil
	}
	if d.roots == nil {
		if d.roots, err = locks.OpenTempRoots(ctx, d.at(d.Flavor.StateDir)); err != nil {
			return err
		}
	}
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = p.String()
	}
	return d.roots.Add(ctx, names)
}

// write writes an item, and returns what it has written; nil if the item is valid. What is in its place and not registered is what an interrupted
// program has left.
func (d *Directory) write(ctx context.Context, item closure.Item, p *Progress) (fs.FileInfo, error) {
	path := d.at(item.Info.Path.String())
	release, err := locks.Path(ctx, path)
	if err != nil {
		return nil, err
	}
	defer release()
	if _, err := os.Lstat(path); err == nil {
		valid, err := d.valid(ctx, item.Info.Path)
		if err != nil || valid[item.Info.Path] {
			return nil, err
		}
		if err := remove(path); err != nil {
			return nil, err
		}
	}
	node, err := item.Store.Item(ctx, item.Info.Path)
	if err != nil {
		return nil, closure.Reading(item.Info.Path, err)
	}
	w := newTreeWriter(path, node)
	err = w.begin()
	if err == nil {
		err = archiveOf(ctx, io.Discard, item.Info, node, w.file, p)
	}
	if err == nil {
		err = w.end()
	}
	if err != nil {
		return nil, errors.Join(err, remove(path))
	}
	return os.Lstat(path)
}

// remove removes an item, whose directories cannot be written to.
func remove(path string) error {
	filepath.WalkDir(path, func(at string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			os.Chmod(at, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}
