package write

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

// A Group is outputs that belong together, with an index that describes them: an image with its manifest, boot files with their list.
type Group struct {
	Files []*Output
	Index *Output // nil for none

	Stale   []string                        // where indexes may be that describe older files
	IsIndex func(path string) (bool, error) // whether what is there is one; an error when it cannot be read
}

// Commit gives the outputs of all groups their names, in place of what stands there, after everything is on the disk; noSync leaves that
// out. Two calls that name the same path, of whatever processes, run one after the other. When one name cannot be given, none is.
//
// An index never stands beside files that it does not describe, whenever the process is killed or the power fails: older indexes are taken away
// first, then the files get their names, and then the new indexes do. In between there is none.
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
	names   int                           // that fresh has returned
	parents map[string]bool               // directories in which names change
	locks   []*scratch.Lock
	undo    []func() error // the names that were given and taken away, in order
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

// lock locks all names, in an order that is the same for everyone.
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

// takeIndexes takes away what describes the older files of a group.
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

// takeAway moves a file to the scratch directory, if it is there.
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

// do moves what stands at path away, and notes how that is undone. What is no file was put there in the meantime, and goes back: a scratch
// directory is removed with all that it holds.
func (c *commit) do(away, path string, move, back func() error) error {
	if err := move(); err != nil {
		return err
	}
	c.undo, c.parents[filepath.Dir(path)] = append(c.undo, back), true
	if info, err := os.Lstat(away); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("write %s: it is there now and is no regular file", path)
	}
	return nil
}

// name names the files and then the indexes. Each step is on the disk before the next one.
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

// nameOne swaps an output with what stands in its place, which can be undone. Where that is impossible, the output simply replaces it.
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

// syncDirs writes the names to the disk.
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
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) { // some file systems have nothing to do
		return err
	}
	return nil
}

// end undoes what was done before an error, and removes scratch directories and locks.
func (c *commit) end(err error) error {
	if err != nil {
		for _, undo := range slices.Backward(c.undo) {
			if undone := undo(); undone != nil {
				err = fmt.Errorf("%w; and an older file could not be put back: %v", err, undone)
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
