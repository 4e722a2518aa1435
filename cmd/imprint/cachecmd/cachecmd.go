// Package cachecmd has the commands of imprint cache, which look after what steps have made: their results, their logs and their named caches.
package cachecmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"imprint/cmd/imprint/family"
	"imprint/internal/environment"
	"imprint/internal/objects"
	"imprint/internal/sandbox"
	"imprint/internal/steprun"
	"imprint/internal/stepstore"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

// A World is what the commands use of the program.
type World struct {
	family.World
	Identity func() sandbox.Identity
	Now      func() time.Time

	Open    func(dir string) (*environment.Store, error)
	Collect func(ctx context.Context, s *environment.Store, dryRun bool) (environment.Garbage, error)
}

const help = `cache looks after what the steps of descriptions ([[step]]) have made. What a step makes of a tree is kept in the build store, under the digest
of the step and of the tree: a build that has the same step over the same tree finds it and does not run the step, and prints its
log again. Commands that take an ID take its first 7 digits or more, or the name of a step for all of its results.

Bases, inputs and what comes from binary caches are kept there, too, by their hash. What is removed here is made or fetched again when a build
needs it.`

// Command returns imprint cache.
func Command(w World) *cobra.Command {
	c := &cobra.Command{
		Use:   "cache",
		Short: "Look after what steps have made, and their caches",
		Long:  help,
		Example: `  imprint cache list
  imprint cache log packages
  imprint cache prune --before 30d
  imprint cache healthcheck`,
	}
	return w.Of(c, w.stats(), w.list(), w.log(), w.delete(), w.prune(), w.verify(), w.healthcheck())
}

// open opens the build store.
func (w World) open() (*steprun.Runner, error) {
	dir, err := w.Store()
	if err != nil {
		return nil, err
	}
	s, err := w.Open(dir)
	if err != nil {
		return nil, err
	}
	return &steprun.Runner{Store: s, Identity: w.Identity()}, nil
}

// shortest is the number of digits that an ID is abbreviated to at most.
const shortest = 7

// find returns the results that a text names: a name, or the beginning of an ID.
func find(list []*stepstore.Result, text string) (found []*stepstore.Result, err error) {
	for _, r := range list {
		if r.Name == text || len(text) >= shortest && strings.HasPrefix(objects.Text(r.ID), text) {
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no step %q has run: imprint cache list lists those that have", text)
	}
	return found, nil
}

// removed removes results, and then what nothing leads to any more.
func (w World) removed(ctx context.Context, r *steprun.Runner, ids []objects.Digest) error {
	for _, id := range ids {
		if err := r.Store.Steps().Remove(id); err != nil {
			return err
		}
	}
	g, err := w.Collect(ctx, r.Store, false)
	if err != nil {
		return fmt.Errorf("%s removed, but not the contents: %w", units.Count(len(ids), "result"), err)
	}
	return w.Print("removed %s and %s (%s)\n", units.Count(len(ids), "result"), units.Count(len(g.Digests), "object"), units.FormatBytes(g.Bytes))
}
