// Package workspace keeps on the host what running a command in a stack of layers takes: the tree as files, and what commands have written.
package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"imprint/internal/extract"
	"imprint/internal/hosttree"
	"imprint/internal/inodes"
	"imprint/internal/layer"
	"imprint/internal/scratch"
	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// A Workspace has what was written over one tree, and not yet saved: the directory upper, for overlayfs.
type Workspace struct {
	Dir  string // with lower, upper, work and root, as package sandbox wants them
	lock *os.File
}

// ErrBusy is matched by the error of opening a workspace that another process has.
var ErrBusy = errors.New("another command runs in it")

// Open opens the workspace of a name below a directory, and makes it if it is not there.
func Open(dir, name string) (*Workspace, error) {
	w := &Workspace{Dir: filepath.Join(dir, name)}
	if err := os.MkdirAll(w.Dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Open(w.Dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("%s: %w", name, ErrBusy)
		}
		return nil, err
	}
	w.lock = f
	return w, nil
}

// Close lets others have the workspace.
func (w *Workspace) Close() error { return w.lock.Close() }

// Remove removes it with everything in it.
func (w *Workspace) Remove() error { return removeAll(w.Dir) }

// Base returns what the writes are on, as it was given to Begin; "" if there are none.
func (w *Workspace) Base() (string, error) {
	text, err := os.ReadFile(filepath.Join(w.Dir, "base"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return string(text), err
}

// Begin prepares the directories for writes over a tree, which are in the directory lower; base identifies it. Writes that are there stay.
func (w *Workspace) Begin(lower, base string, root *tree.Attr, owners bool) error {
	for _, name := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(w.Dir, name), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if old, err := w.Base(); err != nil {
		return err
	} else if old == "" { // else the top is as the last command has left it
		if err := setTop(filepath.Join(w.Dir, "upper"), root, owners); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(w.Dir, "base"), []byte(base), 0o600); err != nil {
			return err
		}
	}
	link := filepath.Join(w.Dir, "lower")
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(lower, link)
}

// setTop gives the directory that becomes the root its mode and owner, which overlayfs takes from it.
func setTop(path string, a *tree.Attr, owners bool) error {
	if owners {
		if err := os.Chown(path, int(a.UID), int(a.GID)); err != nil {
			return err
		}
	}
	if err := unix.Chmod(path, uint32(a.Mode)); err != nil {
		return &os.PathError{Op: "chmod", Path: path, Err: err}
	}
	return nil
}

// Clear discards the writes.
func (w *Workspace) Clear() error {
	if err := os.Remove(filepath.Join(w.Dir, "base")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range []string{"upper", "work"} {
		if err := removeAll(filepath.Join(w.Dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// Writes returns the writes as a layer, with the owners and times of the host's files.
func (w *Workspace) Writes() (*layer.Layer, error) {
	upper := filepath.Join(w.Dir, "upper")
	n, err := (&hosttree.Scanner{Special: true}).Read(upper)
	if err != nil {
		return nil, err
	}
	if n, err = inodes.Complete(upper, n); err != nil {
		return nil, err
	}
	return layer.Of([]hosttree.Entry{{Path: "/", Node: n}})
}

// Tree writes a tree to a directory of that name below dir, unless it is there, and returns its path. Devices and sockets are left out. Files are the caller's
// unless owners are kept, which takes root. The directory gets its name when it is complete.
func Tree(ctx context.Context, dir, name string, t *tree.Tree, owners bool) (string, error) {
	path := filepath.Join(dir, name)
	top := filepath.Join(path, "tree") // which may not be writable, and then cannot be renamed itself
	if _, err := os.Lstat(path); err == nil {
		return top, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	s, err := scratch.Dir(dir)
	if err != nil {
		return "", err
	}
	fresh := filepath.Join(s.Path, "new")
	if err = os.MkdirAll(filepath.Join(fresh, "tree"), 0o700); err == nil {
		err = Fill(ctx, filepath.Join(fresh, "tree"), t, owners)
	}
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if _, there := os.Lstat(path); err != nil && there == nil {
		err = nil // another process was first
	}
	return top, errors.Join(err, removeAll(s.Path), s.Remove())
}

// Fill writes a tree to a directory that is there. Devices and sockets are left out.
func Fill(ctx context.Context, path string, t *tree.Tree, owners bool) error {
	dir, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	_, err = extract.Directory(ctx, dir, []tree.Walked{{Path: "/", Node: t.Root()}}, extract.Options{Owners: owners, SetID: true})
	return err
}

// Sweep removes trees and workspaces below a directory whose names keep does not take, and what killed processes have left there.
func Sweep(dir string, keep func(name string) bool) error {
	scratch.Sweep(dir)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !keep(e.Name()) {
			if err := removeAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeAll is os.RemoveAll for directories whose owner may not change them.
func removeAll(path string) error {
	err := os.RemoveAll(path)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	filepath.WalkDir(path, func(path string, e fs.DirEntry, _ error) error {
		if e != nil && e.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}
