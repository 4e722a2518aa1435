package steprun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"imprint/internal/objects"
	"imprint/internal/sandbox"
	"imprint/internal/tree"
	"imprint/internal/workspace"

	"golang.org/x/sys/unix"
)

// A run is the directory of a step that runs, as the process has it that leads. It is the only one that changes anything there besides the job.
type run struct {
	*call
	space *workspace.Workspace
	held  []*os.File // locks of caches
}

// maxLog bounds a log, in bytes.
const maxLog = 64 << 20

// lead runs the step to its end, or takes over a run whose leader has gone. Without a result and an error it has to be tried again.
func (r *run) lead(ctx context.Context) (found *Result, err error) {
	defer r.space.Close()
	defer r.releaseCaches()
	if found, err := r.find(ctx); found != nil || err != nil { // another one was faster
		return found, errors.Join(err, r.remove(ctx))
	}
	wanted, err := r.want()
	if wanted == nil || err != nil {
		return nil, err
	}
	defer wanted.Close()
	outcome, state := r.outcome()
	switch {
	case state == gone || state == over && !succeeded(outcome):
		if err := r.begin(ctx); err != nil {
			r.give(ctx, wanted)
			return nil, err
		}
	case r.heard == nil:
		r.note(Note, "was begun by another process")
	}
	outcome, log, err := r.wait(ctx, r.space.Dir)
	if err != nil {
		r.give(ctx, wanted)
		return nil, err
	}
	defer log.Close()
	if outcome.Unwanted {
		return nil, r.remove(ctx)
	}
	if err := r.failed(outcome, log); err != nil {
		return nil, errors.Join(err, r.remove(ctx))
	}
	return r.collect(ctx)
}

// want says that this process wants the run. It returns nil if a job is ending since nobody did.
func (r *run) want() (*os.File, error) {
	return lock(filepath.Join(r.space.Dir, sandbox.WantedFile), unix.LOCK_SH)
}

// give leaves the run to others who want it, or removes it when its job has noticed that nobody does.
func (r *run) give(ctx context.Context, wanted *os.File) {
	wanted.Close()
	ctx = context.WithoutCancel(ctx)
	for range patience / between {
		switch free, shared := r.mayLock(unix.LOCK_EX), r.mayLock(unix.LOCK_SH); {
		case free && !isAlive(r.space.Dir):
			r.remove(ctx)
			return
		case !free && shared: // another one leads next
			return
		}
		pause(ctx)
	}
}

// patience is how long a job has to end.
const patience = 10 * time.Second

// mayLock reports whether the file of those who want the run can be locked.
func (r *run) mayLock(how int) bool {
	f, err := lock(filepath.Join(r.space.Dir, sandbox.WantedFile), how)
	if f != nil {
		f.Close()
	}
	return f != nil && err == nil
}

// A state is what there is of a job.
type state int

const (
	gone  state = iota // none, or it was killed
	alive              // it runs
	over               // it has ended, and said how
)

// outcome returns how the job of a run has ended, as far as it has.
func (r *run) outcome() (o sandbox.Outcome, s state) {
	if isAlive(r.space.Dir) {
		return o, alive
	}
	text, err := os.ReadFile(filepath.Join(r.space.Dir, sandbox.StatusFile))
	if err != nil || json.Unmarshal(text, &o) != nil {
		return o, gone
	}
	return o, over
}

func succeeded(o sandbox.Outcome) bool { return o == sandbox.Outcome{} }

// The directories of a run besides those of package workspace.
const (
	treeDir  = "tree"
	givenDir = "given"
)

// begin prepares the directory, and starts the job.
func (r *run) begin(ctx context.Context) error {
	if err := r.clear(ctx); err != nil {
		return err
	}
	if err := r.fill(ctx); err != nil {
		return err
	}
	binds, err := r.inputs(ctx)
	if err != nil {
		return err
	}
	caches, err := r.cloneCaches(ctx)
	if err != nil {
		return err
	}
	return sandbox.Launch(sandbox.Job{MostLog: maxLog, Timeout: r.step.Timeout, Command: sandbox.Command{
		Dir: r.space.Dir, Argv: r.step.Argv, Env: r.step.environment(), Host: "imprint", Work: r.step.Work, Network: r.step.Network,
		Identity: r.Identity, Binds: append(binds, caches...),
		Confine: &sandbox.Confinement{UID: r.step.UID, GID: r.step.GID, Memory: r.step.Memory, FileSize: r.step.FileSize, Processes: r.step.Processes},
	}})
}

// clear removes what an earlier run has left, apart from the lock of those who want this one.
func (r *run) clear(ctx context.Context) error {
	entries, err := os.ReadDir(r.space.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == sandbox.WantedFile {
			continue
		}
		if err := workspace.Discard(ctx, r.Identity, filepath.Join(r.space.Dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// remove removes the directory of the run.
func (r *run) remove(ctx context.Context) error {
	return workspace.Discard(context.WithoutCancel(ctx), r.Identity, r.space.Dir)
}

// fill writes the tree, with its owners as far as there are IDs for them.
func (r *run) fill(ctx context.Context) error {
	dir := filepath.Join(r.space.Dir, treeDir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := workspace.Fill(ctx, dir, r.tree.Tree, r.Identity); err != nil {
		return fmt.Errorf("prepare step %q: %w", r.step.Name, err)
	}
	return r.space.Begin(ctx, treeDir, objects.Text(r.id), r.tree.Root().Attr, r.Identity)
}

// inputs writes what the step is given. It is a copy, which is what was hashed, and on which nothing of the host depends.
func (r *run) inputs(ctx context.Context) (binds []sandbox.Bind, err error) {
	for i, in := range r.step.Inputs {
		name := filepath.Join(givenDir, fmt.Sprint(i))
		dir := filepath.Join(r.space.Dir, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		t := in.Dir
		if in.File != nil {
			if t, err = alone(in.File); err != nil {
				return nil, err
			}
			name = filepath.Join(name, aloneName)
		}
		if err := workspace.Fill(ctx, dir, t, sandbox.Identity{}); err != nil {
			return nil, fmt.Errorf("prepare %s for step %q: %w", in.Target, r.step.Name, err)
		}
		binds = append(binds, sandbox.Bind{From: name, To: in.Target, Dir: in.File == nil, Writable: in.Writable})
	}
	return binds, nil
}

const aloneName = "file"

// alone returns a tree of one file.
func alone(n *tree.Node) (*tree.Tree, error) {
	b := tree.NewBuilder(&tree.Attr{Mode: 0o755, Mtime: n.Attr.Mtime})
	if err := b.Add("/"+aloneName, n.Copy(), ""); err != nil {
		return nil, err
	}
	return b.Tree()
}
