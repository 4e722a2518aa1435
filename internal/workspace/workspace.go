// Package workspace keeps on the host what running a command in a stack of layers takes: the tree as files, and what commands have written.
package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"imprint/internal/sandbox"
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

// patience is how long Await waits for another process, and between the time between attempts.
const (
	patience = time.Second
	between  = 10 * time.Millisecond
)

// Await is Open for a workspace that another process may still have for a moment, such as a child of one that was killed.
func Await(ctx context.Context, dir, name string) (w *Workspace, err error) {
	for range patience / between {
		if w, err = Open(dir, name); !errors.Is(err, ErrBusy) {
			break
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(between):
		}
	}
	return w, err
}

// Close lets others have the workspace.
func (w *Workspace) Close() error { return w.lock.Close() }

// Remove removes it with everything in it.
func (w *Workspace) Remove(ctx context.Context, who sandbox.Identity) error {
	return Discard(ctx, who, w.Dir)
}

// Base returns what the writes are on, as it was given to Begin; "" if there are none.
func (w *Workspace) Base() (string, error) { return w.text("base") }

func (w *Workspace) text(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(w.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return string(text), err
}

// Begin prepares the directories for writes over a tree, which are in the directory lower; base identifies it. Writes that are there stay, with the owners
// that they had before they were read.
func (w *Workspace) Begin(ctx context.Context, lower, base string, root *tree.Attr, who sandbox.Identity) error {
	old, err := w.Base()
	switch {
	case err != nil:
		return err
	case old == "": // what is there was being removed
		err = w.Clear(ctx, who)
	default:
		err = w.Restore(ctx, who)
	}
	if err != nil {
		return err
	}
	for _, name := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(w.Dir, name), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if old == "" { // else the top is as the last command has left it
		if err := w.setTop(ctx, root, who); err != nil {
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
func (w *Workspace) setTop(ctx context.Context, a *tree.Attr, who sandbox.Identity) error {
	upper := filepath.Join(w.Dir, "upper")
	if who.Root {
		if err := os.Chown(upper, int(a.UID), int(a.GID)); err != nil {
			return err
		}
	}
	if err := unix.Chmod(upper, uint32(a.Mode)); err != nil {
		return &os.PathError{Op: "chmod", Path: upper, Err: err}
	}
	if a.UID == 0 && a.GID == 0 {
		return nil
	}
	return give(ctx, upper, []sandbox.Owner{{Path: ".", UID: a.UID, GID: a.GID, Mode: uint32(a.Mode)}}, who)
}

// savingFile has what [Workspace.Saving] was given.
const savingFile = "saving"

// Saving records that the writes are becoming something with a name, which a later process may find: then they are saved.
func (w *Workspace) Saving(as string) error {
	return os.WriteFile(filepath.Join(w.Dir, savingFile), []byte(as), 0o600)
}

// Saved returns what Saving was given, "" if nothing was.
func (w *Workspace) Saved() (string, error) { return w.text(savingFile) }

// Clear discards the writes.
func (w *Workspace) Clear(ctx context.Context, who sandbox.Identity) error {
	for _, name := range []string{"base", ownersFile, savingFile} {
		if err := os.Remove(filepath.Join(w.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, name := range []string{"upper", "work"} {
		if err := Discard(ctx, who, filepath.Join(w.Dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// Tree writes a tree to a directory of that name below dir, unless it is there, and returns its path. Devices and sockets are left out. Files have the
// owners that they have in a sandbox, as [Fill] gives them. The directory gets its name when it is complete.
func Tree(ctx context.Context, dir, name string, t *tree.Tree, who sandbox.Identity) (string, error) {
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
		err = Fill(ctx, filepath.Join(fresh, "tree"), t, who)
	}
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if _, there := os.Lstat(path); err != nil && there == nil {
		err = nil // another process was first
	}
	return top, errors.Join(err, Discard(context.WithoutCancel(ctx), who, s.Path), s.Remove())
}

// Sweep removes trees and workspaces below a directory whose names keep does not take, and what killed processes have left there.
func Sweep(ctx context.Context, dir string, who sandbox.Identity, keep func(name string) bool) error {
	scratch.Sweep(dir)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !keep(e.Name()) {
			if err := Discard(ctx, who, filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
