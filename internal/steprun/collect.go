package steprun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"imprint/internal/layer"
	"imprint/internal/sandbox"
	"imprint/internal/tree"
)

// collect makes what the step has written its result. A leader that is killed from here on leaves a run that begins anew, since owners are not what they were.
func (r *run) collect(ctx context.Context) (*Result, error) {
	if err := os.Remove(filepath.Join(r.space.Dir, sandbox.StatusFile)); err != nil {
		return nil, err
	}
	l, err := r.changes(ctx)
	if err != nil {
		r.remove(ctx)
		return nil, &FailedError{Step: r.step.Name, Err: err}
	}
	found, err := r.keep(ctx, l, filepath.Join(r.space.Dir, sandbox.LogFile))
	if err == nil {
		err = r.snapshotCaches(ctx)
	}
	return found, errors.Join(err, r.remove(ctx))
}

// changes returns what the step has written as a layer.
func (r *run) changes(ctx context.Context) (*layer.Layer, error) {
	l, err := r.space.Writes(ctx, r.Identity)
	if err == nil {
		l, err = r.step.result(l, r.tree)
	}
	if err == nil {
		err = r.Store.AddContents(ctx, l)
	}
	if err != nil {
		return nil, err
	}
	return l.Over(r.tree.Tree, layer.Settings{Mtime: tree.Time{Sec: r.step.Epoch}, Owners: r.Identity.Many()})
}

// result returns the part of the changes that counts: without the places where the step was given something, and what is outside of its outputs.
func (s *Step) result(l *layer.Layer, lower Tree) (*layer.Layer, error) {
	entries := slices.Clone(l.Entries())
	for _, at := range s.places() {
		entries = withoutPlace(entries, at, lower)
	}
	if len(s.Outputs) > 0 {
		for _, out := range s.Outputs {
			if !isThere(entries, lower, out) {
				return nil, fmt.Errorf("it has made no %s, which is one of its outputs", tree.Shown(out))
			}
		}
		entries = slices.DeleteFunc(entries, func(e layer.Entry) bool { return !s.counts(e, entries) })
	}
	return layer.New(linked(entries))
}

// places returns where the step was given something.
func (s *Step) places() (list []string) {
	for _, in := range s.Inputs {
		list = append(list, in.Target)
	}
	for _, c := range s.Caches {
		list = append(list, c.Target)
	}
	return list
}

// withoutPlace removes a path that is there only since something was mounted on it, and directories above that have nothing else.
func withoutPlace(entries []layer.Entry, at string, lower Tree) []layer.Entry {
	for at != "/" {
		n, real := lower.Follow(at)
		if at = real; n != nil {
			break
		}
		if slices.ContainsFunc(entries, func(e layer.Entry) bool { return strings.HasPrefix(e.Path, at+"/") }) {
			break
		}
		entries = slices.DeleteFunc(entries, func(e layer.Entry) bool { return e.Path == at })
		at = path.Dir(at)
	}
	return entries
}

// isThere reports whether there is something at a path after the changes.
func isThere(entries []layer.Entry, lower Tree, at string) bool {
	for _, e := range entries {
		if e.Path == at {
			return e.Node != nil
		}
		if e.Node == nil && strings.HasPrefix(at, e.Path+"/") {
			return false
		}
	}
	return lower.Find(at) != nil
}

// counts reports whether a change is one of an output, or a directory above one.
func (s *Step) counts(e layer.Entry, all []layer.Entry) bool {
	within := func(at string) bool {
		return slices.ContainsFunc(s.Outputs, func(out string) bool { return out == "/" || at == out || strings.HasPrefix(at, out+"/") })
	}
	if within(e.Path) || e.Node == nil || e.Node.Kind() != tree.Dir {
		return within(e.Path)
	}
	top := strings.TrimSuffix(e.Path, "/") + "/"
	return slices.ContainsFunc(all, func(o layer.Entry) bool { return strings.HasPrefix(o.Path, top) && within(o.Path) })
}

// linked makes the first of the names that are left of a file the file.
func linked(entries []layer.Entry) []layer.Entry {
	first := map[*tree.Node]*tree.Node{}
	for i, e := range entries {
		if e.Node == nil {
			continue
		}
		inode := e.Node.Inode()
		if known := first[inode]; known != nil {
			entries[i].Node = tree.NewLink("", known)
			continue
		}
		first[inode] = inode
		entries[i].Node = inode
	}
	return entries
}
