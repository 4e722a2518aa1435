// Package realise is the stage between what a description names and the trees that it states: it makes the layers that come from steps. It writes only to the
// build store, where what a step has made is kept under the digest of the step and of the tree below it.
package realise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"imprint/image/description"
	"imprint/image/host"
	"imprint/image/plan"
	"imprint/internal/diag"
	"imprint/internal/environment"
	"imprint/internal/layer"
	"imprint/internal/objects"
	"imprint/internal/sandbox"
	"imprint/internal/steprun"
	"imprint/internal/tree"
)

// Options say how steps run.
type Options struct {
	Identity sandbox.Identity
	Report   func(steprun.Event) // may be nil
	DryRun   bool                // runs nothing: a step that would have to is a [*PendingError]

	// Hold is called with what ends the hold on the build store: until then nothing in it is collected. With a nil Hold it ends when the layers are made.
	Hold func(release func())
}

// A Stage has what the layers of steps depend on.
type Stage struct {
	Options
	Description *description.Image
	Hosts       host.Inputs // layers of steps are added
	BuildStore  string      // its directory, "" if there is none
	Epoch       int64       // seconds since 1970
}

// A PendingError says that steps have to run before more is known.
type PendingError struct{ Steps []plan.Step }

// Error implements error.
func (e *PendingError) Error() string {
	var names []string
	for _, s := range e.Steps {
		if !s.Known {
			names = append(names, fmt.Sprintf("%q", s.Name))
		}
	}
	return "steps have to run before the contents are known: " + strings.Join(names, ", ")
}

// Steps makes the layers of all steps, in the order of the description, and returns what each has made. The error is a [diag.List] for a fault of the
// description, a [*PendingError], or one of package steprun.
func (s Stage) Steps(ctx context.Context) ([]plan.Step, error) {
	if len(s.Description.Step.Items) == 0 {
		return nil, nil
	}
	if s.BuildStore == "" {
		return nil, diag.List{s.Description.Step.Key.Problem("there is no build store", "name one (--build-store DIR), or set XDG_CACHE_HOME or HOME")}
	}
	store, err := environment.Open(s.BuildStore)
	if err != nil {
		return nil, err
	}
	release, err := s.use(ctx, store)
	if err != nil {
		return nil, err
	}
	if s.Hold == nil {
		defer release()
	} else {
		s.Hold(release)
	}
	r := &realising{Stage: s, runner: &steprun.Runner{Store: store, Identity: s.Identity, Report: s.Report}}
	for _, p := range s.Description.Partition.Items {
		if err := r.partition(ctx, p); err != nil {
			return nil, err
		}
	}
	if r.pending {
		return nil, &PendingError{r.done}
	}
	return r.done, nil
}

// use keeps what is in the store from being collected. A store that is not there yet is not made to look into it.
func (s Stage) use(ctx context.Context, store *environment.Store) (release func(), err error) {
	if _, err := os.Stat(store.Dir()); s.DryRun && err != nil {
		return func() {}, nil
	}
	return store.Use(ctx)
}

// realising is a Stage on its way.
type realising struct {
	Stage
	runner  *steprun.Runner
	done    []plan.Step
	why     []string // the step runs that is looked at
	pending bool
}

// below is the stack of layers so far.
type below struct {
	layers []*layer.Layer
	pin    *objects.Digest
	after  []objects.Digest
	env    []string // of the base, "NAME=value"
}

// put puts layers on the stack.
func (b *below) put(layers ...*layer.Layer) error {
	for _, l := range layers {
		sum, err := l.Digest()
		if err != nil {
			return err
		}
		pin := environment.PinOn(b.pin, sum)
		b.layers, b.pin = append(b.layers, l), &pin
	}
	return nil
}

// tree returns the tree of the stack.
func (b *below) tree() (t steprun.Tree, err error) {
	builder := tree.NewBuilder(environment.Implied)
	for _, l := range b.layers {
		if err := l.Put(builder, ""); err != nil {
			return t, err
		}
	}
	t = steprun.Tree{Follow: builder.Follow, After: b.after}
	if b.pin != nil {
		t.Pin = *b.pin
	}
	t.Tree, err = builder.Tree()
	return t, err
}

// partition makes the layers of a partition. After a step that has to run nothing is known of the ones above.
func (r *realising) partition(ctx context.Context, p description.Partition) error {
	stack, unknown := &below{}, false
	for _, l := range p.Layer.Items {
		in := r.Hosts[l.Key]
		step := r.Description.FindStep(l.Step.V)
		switch {
		case !l.Step.Written():
			if in.Base != nil {
				stack.env = in.Base.Config.Env
			}
			if err := stack.put(in.Layers...); err != nil {
				return err
			}
			continue
		case unknown:
			r.note(p, step, nil)
			continue
		}
		found, err := r.step(ctx, l, step, stack)
		if err != nil {
			return err
		}
		r.note(p, step, found)
		r.why = nil
		if unknown = found == nil; unknown {
			continue
		}
		if err := r.take(in, found, stack); err != nil {
			return err
		}
	}
	return nil
}

// note records what there is of a step.
func (r *realising) note(p description.Partition, s *description.Step, found *steprun.Result) {
	done := plan.Step{Partition: p.Name.V, Name: s.Name.V}
	for _, word := range s.Run.Items {
		done.Run = append(done.Run, string(word.V))
	}
	if found != nil {
		sum, _ := found.Layer.Digest()
		done.ID, done.Layer, done.Known = objects.Text(found.ID), "sha256:"+objects.Text(sum), true
	}
	r.pending = r.pending || found == nil
	done.Why = r.why
	r.done = append(r.done, done)
}

// take puts the layer of a step on the stack, and where the tree is made of layers.
func (r *realising) take(in *host.Input, found *steprun.Result, stack *below) error {
	in.SetLayer(found.Layer)
	stack.after = append(stack.after[:len(stack.after):len(stack.after)], found.ID)
	return stack.put(found.Layer)
}

// step returns what a step makes of a stack, or nil if it would have to run and may not.
func (r *realising) step(ctx context.Context, l description.Layer, d *description.Step, stack *below) (*steprun.Result, error) {
	t, err := stack.tree()
	if err != nil {
		return nil, diag.List{l.Key.Problem(err.Error(), "the layers below do not go together")}
	}
	s, problems := r.command(d, t, stack.env)
	if len(problems) > 0 {
		return nil, problems
	}
	if r.DryRun {
		found, err := r.runner.Find(ctx, s, t.Pin)
		if found == nil && err == nil {
			r.why = r.runner.Why(s, t.Pin)
		}
		return found, err
	}
	found, err := r.runner.Do(ctx, s, t)
	var forbidden *sandbox.ForbiddenError
	var failed *steprun.FailedError
	switch {
	case errors.As(err, &forbidden):
		return nil, diag.List{d.Key.Problem(forbidden.Error(), forbidden.Hint())}
	case errors.As(err, &failed):
		return nil, diag.List{d.Key.Problem(fmt.Sprintf("%q: %v", failed.Step, failed.Err), failed.Hint)}
	}
	return found, err
}
