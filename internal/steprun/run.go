package steprun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"imprint/internal/environment"
	"imprint/internal/hosttool"
	"imprint/internal/layer"
	"imprint/internal/objects"
	"imprint/internal/processors"
	"imprint/internal/sandbox"
	"imprint/internal/stepstore"
	"imprint/internal/workspace"

	"golang.org/x/sync/errgroup"
)

// A Runner runs steps, and finds what they have made.
type Runner struct {
	Store    *environment.Store
	Identity sandbox.Identity
	Report   func(Event) // may be nil
}

// A Result is what a step has made of a tree.
type Result struct {
	ID    objects.Digest
	Layer *layer.Layer
	Pin   objects.Digest // of the tree with the layer
}

// running returns the directory of runs.
func (r *Runner) running() string { return filepath.Join(r.Store.Dir(), "running") }

// Find returns what a step has made of the tree with a pin, or nil if it has to run. All that was kept is read and compared with its digests; what is damaged or
// incomplete is not found.
func (r *Runner) Find(ctx context.Context, s *Step, pin objects.Digest) (*Result, error) {
	id := s.ID(pin)
	found, err := r.Store.Steps().Get(id)
	if err == nil && found.On != pin {
		err = fmt.Errorf("the step %s %w", objects.Text(id), objects.ErrDamaged)
	}
	var l *layer.Layer
	if err == nil {
		l, err = r.Store.Layer(found.Layer)
	}
	if err == nil {
		err = verify(ctx, l)
	}
	switch {
	case errors.Is(err, objects.ErrMissing) || errors.Is(err, objects.ErrDamaged):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &Result{id, l, environment.PinOn(&pin, found.Layer)}, nil
}

// verify reads the contents of a layer. Errors match [objects.ErrDamaged] if one does not have its digest.
func verify(ctx context.Context, l *layer.Layer) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * processors.Count())
	for _, f := range l.Files() {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return objects.Verify(ctx, f.Node.Blob())
		})
	}
	return group.Wait()
}

// Do returns what a step makes of a tree. It runs the step unless the result is kept, and waits if another process runs it. The caller holds
// [environment.Store.Use].
//
// The error is a [*sandbox.ForbiddenError] if the host lets nobody run steps, and a [*FailedError] if the command failed.
func (r *Runner) Do(ctx context.Context, s *Step, t Tree) (*Result, error) {
	c := &call{Runner: r, step: s, tree: t, id: s.ID(t.Pin)}
	c.note(Heading, s.String())
	found, err := c.find(ctx)
	before := found != nil
	if before {
		c.note(Note, "has run before: "+objects.Text(c.id)[:12])
	} else if err == nil {
		for _, reason := range r.Why(s, t.Pin) {
			c.note(Note, "runs again: "+reason)
		}
	}
	for found == nil && err == nil {
		if found, err = c.try(ctx); found != nil || err != nil {
			break
		}
		if err = pause(ctx); err == nil {
			found, err = c.find(ctx)
		}
	}
	if found == nil || err != nil {
		return nil, err
	}
	c.Store.Steps().Count(before)
	return found, c.replay()
}

// A call is one of Do.
type call struct {
	*Runner
	step *Step
	tree Tree
	id   objects.Digest

	heard os.FileInfo // the log of which something was reported
	until int64       // up to this offset
}

func (c *call) find(ctx context.Context) (*Result, error) { return c.Find(ctx, c.step, c.tree.Pin) }

func (c *call) note(kind Kind, text string) {
	if c.Report != nil {
		c.Report(Event{kind, c.step.Name, text})
	}
}

// try leads a run, or follows another process. Without a result and an error it has to be tried again.
func (c *call) try(ctx context.Context) (*Result, error) {
	space, err := workspace.Open(c.running(), objects.Text(c.id))
	switch {
	case errors.Is(err, workspace.ErrBusy):
		return nil, c.follow(ctx)
	case err != nil:
		return nil, err
	}
	return (&run{call: c, space: space}).lead(ctx)
}

// replay reports what was not reported of the log of a step, which has run before.
func (c *call) replay() error {
	if log, err := c.Store.Steps().Log(c.id); err == nil {
		c.tail(log)
		log.Close()
	}
	return c.Store.Steps().Touch(c.id)
}

// tail reports what is new in a log.
func (c *call) tail(log *os.File) {
	info, err := log.Stat()
	if err != nil {
		return
	}
	if c.heard == nil || !os.SameFile(c.heard, info) {
		c.heard, c.until = info, 0
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := log.ReadAt(buf, c.until)
		if c.until += int64(n); n > 0 {
			c.note(Output, string(buf[:n]))
		}
		if err != nil {
			return
		}
	}
}

// between is the time between looks at what other processes do.
const between = 10 * time.Millisecond

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(between):
		return nil
	}
}

// A FailedError reports a step whose command failed.
type FailedError struct {
	Step string
	Err  error  // a [*hosttool.ExitError] if the command ran
	Hint string // may be empty
}

// Error implements error.
func (e *FailedError) Error() string { return fmt.Sprintf("step %q: %v", e.Step, e.Err) }

// Unwrap returns the cause.
func (e *FailedError) Unwrap() error { return e.Err }

// failed returns the error of an outcome, nil if the step succeeded. A command that may give files to nobody else often fails for that.
func (c *call) failed(o sandbox.Outcome, log *os.File) error {
	err := o.Err(c.step.Argv)
	if err == nil {
		return nil
	}
	var forbidden *sandbox.ForbiddenError
	if errors.As(err, &forbidden) {
		return fmt.Errorf("step %q: %w", c.step.Name, err)
	}
	f := &FailedError{Step: c.step.Name, Err: err}
	var exit *hosttool.ExitError
	if errors.As(err, &exit) && !c.Identity.Many() && aboutOwners(log) {
		f.Hint = sandbox.OneIDHint
	}
	return f
}

// aboutOwners reports whether the end of a log has what programs write when they may not change an owner.
func aboutOwners(log *os.File) bool {
	const end = 64 << 10
	info, err := log.Stat()
	if err != nil {
		return false
	}
	text := make([]byte, min(end, info.Size()))
	log.ReadAt(text, info.Size()-int64(len(text)))
	return strings.Contains(string(text), "Invalid argument") || strings.Contains(string(text), "Operation not permitted")
}

// keep records a result. It does not sync: what a power cut damages is not found, since it is verified.
func (c *call) keep(ctx context.Context, l *layer.Layer, log string) (*Result, error) {
	d, err := c.Store.Add(ctx, l)
	if err == nil {
		err = c.Store.Steps().Put(&stepstore.Result{ID: c.id, Name: c.step.Name, On: c.tree.Pin, Layer: d, After: c.tree.After, Text: c.step.whole(c.tree.Pin)}, log)
	}
	if err != nil {
		return nil, fmt.Errorf("keep what step %q has made: %w", c.step.Name, err)
	}
	return &Result{c.id, l, environment.PinOn(&c.tree.Pin, d)}, nil
}
