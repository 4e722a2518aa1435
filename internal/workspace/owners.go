package workspace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"imprint/internal/extract"
	"imprint/internal/hosttree"
	"imprint/internal/inodes"
	"imprint/internal/layer"
	"imprint/internal/sandbox"
	"imprint/internal/tree"
)

// Fill writes a tree to a directory that is there. Devices and sockets are left out. Files have the owners that they have in a sandbox of the
// identity: those of the tree as far as it has IDs, or else the caller.
func Fill(ctx context.Context, path string, t *tree.Tree, who sandbox.Identity) error {
	dir, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if _, err = extract.Directory(ctx, dir, []tree.Walked{{Path: "/", Node: t.Root()}}, extract.Options{Owners: who.Root, SetID: true}); err != nil {
		return err
	}
	return give(ctx, path, ownersOf(t), who)
}

// give gives files to owners among the subordinate IDs of an identity, if it has some.
func give(ctx context.Context, dir string, owners []sandbox.Owner, who sandbox.Identity) error {
	if who.Root || who.Sub == nil {
		return nil
	}
	for _, o := range owners {
		if int64(o.UID) > int64(who.Sub.UIDs.Count) || int64(o.GID) > int64(who.Sub.GIDs.Count) {
			return fmt.Errorf("%s belongs to %d:%d, and the caller has only %d subordinate user IDs and %d group IDs", tree.Shown(path.Clean("/"+o.Path)), o.UID, o.GID,
				who.Sub.UIDs.Count, who.Sub.GIDs.Count)
		}
	}
	return who.Give(ctx, dir, owners)
}

// ownersOf returns the files of a tree that are not root's.
func ownersOf(t *tree.Tree) (list []sandbox.Owner) {
	for path, n := range t.Walk() {
		a := n.Inode().Attr
		kept := n.Kind() == tree.File || n.Kind() == tree.Dir || n.Kind() == tree.Symlink
		if kept && (a.UID != 0 || a.GID != 0) {
			list = append(list, sandbox.Owner{Path: "." + path, UID: a.UID, GID: a.GID, Mode: uint32(a.Mode)})
		}
	}
	return list
}

// ownersFile has the owners of writes while they are read; they are the caller's then.
const ownersFile = "owners"

// Hold records whose the writes are, so that [Workspace.Restore] undoes what [Workspace.Writes] does to them, also in the next process.
func (w *Workspace) Hold(ctx context.Context, who sandbox.Identity) error {
	if who.Root {
		return nil
	}
	owners, err := who.Owners(ctx, filepath.Join(w.Dir, "upper"))
	if err != nil {
		return err
	}
	text, err := json.Marshal(owners)
	if err != nil {
		return err
	}
	name := filepath.Join(w.Dir, ownersFile)
	if err := os.WriteFile(name+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// Restore gives the writes the owners that Hold has recorded, if it has.
func (w *Workspace) Restore(ctx context.Context, who sandbox.Identity) error {
	name := filepath.Join(w.Dir, ownersFile)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var owners []sandbox.Owner
	if err == nil {
		err = json.Unmarshal(text, &owners)
	}
	if err == nil {
		err = who.Give(ctx, filepath.Join(w.Dir, "upper"), owners)
	}
	if err != nil {
		return err
	}
	return os.Remove(name)
}

// Writes returns the writes as a layer, with the times of the host's files and the owners that they have in the sandbox. Afterwards they are the caller's,
// unless that is root.
func (w *Workspace) Writes(ctx context.Context, who sandbox.Identity) (*layer.Layer, error) {
	if who.Root {
		return w.read()
	}
	was, err := who.Take(ctx, filepath.Join(w.Dir, "upper"))
	if err != nil {
		return nil, err
	}
	l, err := w.read()
	if err == nil {
		setOwners(l, was)
	}
	return l, err
}

// read returns the writes with the owners of the host's files.
func (w *Workspace) read() (*layer.Layer, error) {
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

// setOwners gives the files of a layer the owners and modes in a list, and all others to root.
func setOwners(l *layer.Layer, was []sandbox.Owner) {
	nodes := map[string]*tree.Node{}
	for _, e := range l.Entries() {
		if e.Node != nil && e.Node.Attr != nil {
			a := *e.Node.Attr
			a.UID, a.GID = 0, 0
			e.Node.Attr = &a
			nodes[e.Path] = e.Node
		}
	}
	for _, o := range was {
		if n := nodes[path.Clean("/"+o.Path)]; n != nil {
			n.Attr.UID, n.Attr.GID = o.UID, o.GID
			if n.Kind() != tree.Symlink {
				n.Attr.Mode = uint16(o.Mode)
			}
		}
	}
}

// Discard removes a file or directory, whose files may belong to the other IDs of an identity, and whose directories nobody may change.
func Discard(ctx context.Context, who sandbox.Identity, path string) error {
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
	if err = os.RemoveAll(path); errors.Is(err, fs.ErrPermission) {
		return who.Remove(ctx, path)
	}
	return err
}
