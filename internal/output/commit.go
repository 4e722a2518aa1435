package output

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"imprint/internal/scratch"

	"golang.org/x/sys/unix"
)

// A Group is outputs that belong together, and an index that describes them: an image with its manifest, or boot files with
// their list.
type Group struct {
	Files []*Output
	Index *Output // nil for none

	Stale   []string                        // paths where indexes of older files may be
	IsIndex func(path string) (bool, error) // reports whether the file there is one; an error when it cannot be read
}

// Commit gives the outputs of all groups their names, replacing older files, once their bytes are on the disk; noSync skips
// the syncs. Calls that name the same path run one after the other, in any process. Either all outputs get their names or none
// does.
//
// An index never stands beside files that it does not describe, even if the process is killed or the power fails. Renames of
// several files are not atomic, so the order has to ensure it: first older indexes go away, then the files get their names,
// then the new indexes do. In between there is no index.
func Commit(ctx context.Context, noSync bool, groups ...Group) (err error) {
	c := &commit{sync: !noSync, dirs: map[string]*scratch.Directory{}, parents: map[string]bool{}}
	defer func() { err = c.end(err) }()
	var files, indexes []*Output
	var names []string
	for _, g := range groups {
		files, names = append(files, g.Files...), append(names, g.Stale...)
		if g.Index != nil {
			indexes = append(indexes, g.Index)
		}
	}
	for _, o := range slices.Concat(files, indexes) {
		if err := o.finish(c.sync, c.fresh); err != nil {
			return err
		}
		names = append(names, o.path)
	}
	if err := c.lock(ctx, names); err != nil {
		return err
	}
	for _, g := range groups {
		if err := c.takeIndexes(g); err != nil {
			return err
		}
	}
	return c.name(files, indexes)
}

// A commit is one call of Commit.
type commit struct {
	sync    bool
	dirs    map[string]*scratch.Directory // by parent
	names   int                           // number of names that fresh has returned
	parents map[string]bool               // directories in which names change
	locks   []*scratch.Lock
	undo    []func() error // of each rename so far, in order
}

// fresh returns an unused name in a scratch directory in parent.
func (c *commit) fresh(parent string) (string, error) {
	if c.dirs[parent] == nil {
		dir, err := scratch.Dir(parent)
		if err != nil {
			return "", err
		}
		c.dirs[parent] = dir
	}
	c.names++
	return filepath.Join(c.dirs[parent].Path, strconv.Itoa(c.names)), nil
}

// lock locks all names, sorted, so that two commits of the same names cannot wait for each other.
func (c *commit) lock(ctx context.Context, names []string) error {
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		l, err := scratch.Hold(ctx, name)
		if err != nil {
			return err
		}
		c.locks = append(c.locks, l)
	}
	return nil
}

// takeIndexes moves away the indexes of the older files.
func (c *commit) takeIndexes(g Group) error {
	if g.Index != nil {
		if err := c.takeAway(g.Index.path); err != nil {
			return err
		}
	}
	for _, path := range g.Stale {
		is, err := g.IsIndex(path)
		if err == nil && is {
			err = c.takeAway(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// takeAway moves a file to the scratch directory, if there is one. It is removed with that directory when all has succeeded.
func (c *commit) takeAway(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	away, err := c.fresh(filepath.Dir(path))
	if err != nil {
		return err
	}
	return c.do(away, path, func() error { return os.Rename(path, away) }, func() error { return os.Rename(away, path) })
}

// do performs a rename and records how to undo it. If something other than a regular file has appeared at path since [Place]
// looked, that is an error, and end puts it back: otherwise it would be removed with the scratch directory that it is now in.
func (c *commit) do(away, path string, move, back func() error) error {
	if err := move(); err != nil {
		return err
	}
	c.undo, c.parents[filepath.Dir(path)] = append(c.undo, back), true
	if info, err := os.Lstat(away); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("write %s: it now exists and is not a regular file", path)
	}
	return nil
}

// name names the files and then the indexes. Each step reaches the disk before the next one begins.
func (c *commit) name(steps ...[]*Output) error {
	for _, outputs := range steps {
		if err := c.syncDirs(); err != nil {
			return err
		}
		for _, o := range outputs {
			if err := c.nameOne(o); err != nil {
				return err
			}
		}
	}
	return c.syncDirs()
}

// nameOne exchanges an output with the file at its path, which can be undone. On a file system that cannot exchange names, and
// if there is no file yet, it renames; replacing a file this way cannot be undone.
func (c *commit) nameOne(o *Output) error {
	swap := func() error {
		return unix.Renameat2(unix.AT_FDCWD, o.temp, unix.AT_FDCWD, o.path, unix.RENAME_EXCHANGE)
	}
	back := func() error { return os.Remove(o.path) }
	_, gone := os.Lstat(o.path)
	switch err := swap(); {
	case err == nil:
		return c.do(o.temp, o.path, func() error { return nil }, swap)
	case gone == nil:
		back = func() error { return fmt.Errorf("%s was replaced", o.path) }
	}
	return c.do(o.temp, o.path, func() error { return os.Rename(o.temp, o.path) }, back)
}

// syncDirs syncs the directories in which names have changed.
func (c *commit) syncDirs() error {
	if !c.sync {
		return nil
	}
	for parent := range c.parents {
		if err := syncDir(parent); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) { // from file systems that cannot sync directories
		return err
	}
	return nil
}

// end undoes all renames if there was an error, and removes scratch directories and locks.
func (c *commit) end(err error) error {
	if err != nil {
		for _, undo := range slices.Backward(c.undo) {
			if undone := undo(); undone != nil {
				err = fmt.Errorf("%w; and an older file could not be restored: %v", err, undone)
			}
		}
	}
	for _, dir := range c.dirs {
		dir.Remove()
	}
	for _, l := range slices.Backward(c.locks) {
		l.Release()
	}
	return err
}
