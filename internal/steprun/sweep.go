package steprun

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"imprint/internal/objects"
	"imprint/internal/sandbox"
	"imprint/internal/workspace"
)

// Sweep removes what killed steps have left. Nobody else uses the store.
func (r *Runner) Sweep(ctx context.Context) error {
	entries, err := os.ReadDir(r.running())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		dir := filepath.Join(r.running(), e.Name())
		for isAlive(dir) { // nobody wants it, which it notices soon
			if err := pause(ctx); err != nil {
				return err
			}
		}
		if err := workspace.Discard(ctx, r.Identity, dir); err != nil {
			return err
		}
	}
	os.Remove(r.running())
	return r.Caches().sweep()
}

// Running returns the IDs of steps that run now.
func (r *Runner) Running() (list []objects.Digest) {
	entries, _ := os.ReadDir(r.running())
	for _, e := range entries {
		if id, err := objects.Parse(e.Name()); err == nil && isAlive(filepath.Join(r.running(), e.Name())) {
			list = append(list, id)
		}
	}
	return list
}

// Probe runs nothing in a sandbox over an empty tree, to find out whether steps can run. The directory of the store is made for that.
func (r *Runner) Probe(ctx context.Context) error {
	if err := os.MkdirAll(r.running(), 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(r.running(), "probe-")
	if err != nil {
		return err
	}
	defer workspace.Discard(context.WithoutCancel(ctx), r.Identity, dir)
	for _, name := range []string{"lower/proc", "lower/dev", "upper", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	if err := sandbox.Run(ctx, sandbox.Command{Dir: dir, Host: "imprint", Identity: r.Identity, Confine: &sandbox.Confinement{}}); err != nil {
		return fmt.Errorf("set up a sandbox: %w", err)
	}
	return nil
}

// Verify reads everything that steps have made, and calls report for whatever is missing or damaged, with the step that it concerns. It returns how many records and
// contents it has read.
func (r *Runner) Verify(ctx context.Context, report func(id objects.Digest, err error)) (int, error) {
	list, damaged, err := r.Store.Steps().All()
	if err != nil {
		return 0, err
	}
	for _, id := range damaged {
		_, err := r.Store.Steps().Get(id)
		report(id, err)
	}
	n := len(list) + len(damaged)
	for _, one := range list {
		seen := map[objects.Digest]bool{} // a damaged content is reported for each step that has it
		if err := r.Store.VerifyLayer(ctx, seen, one.Layer, func(err error) { report(one.ID, err) }); err != nil {
			return 0, err
		}
		n += len(seen)
	}
	return n, nil
}
