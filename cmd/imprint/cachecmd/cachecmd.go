// Package cachecmd has the commands of imprint cache, which look after what steps have made: their results, their logs and their named caches.
package cachecmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

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
	Stdout, Stderr io.Writer // escaped

	StoreFlag func(*cobra.Command) // adds --build-store
	StoreDir  func() string        // the directory of the build store; "" if there is no place for it
	Identity  func() sandbox.Identity
	Now       func() time.Time

	Open    func(dir string) (*environment.Store, error)
	Collect func(ctx context.Context, s *environment.Store, dryRun bool) (environment.Garbage, error)

	Usage    func(error) error // makes an error one of the command line
	Mismatch error             // what verify returns
}

const help = `cache looks after what the steps of descriptions ([[step]]) have made. What a step makes of a tree is kept in the build store, under the digest
of the step and of the tree: a build that has the same step over the same tree finds it and does not run the step, and prints its
log again. Commands that take an ID take its first 7 digits or more, or the name of a step for all of its results.

What is removed here is made again when a build needs it.`

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
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return w.Usage(fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath()))
			}
			return w.Usage(fmt.Errorf("%s takes a command", c.CommandPath()))
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	for _, sub := range []*cobra.Command{w.stats(), w.list(), w.log(), w.delete(), w.prune(), w.verify(), w.healthcheck()} {
		w.StoreFlag(sub)
		c.AddCommand(sub)
	}
	return c
}

// arguments checks the number of arguments.
func (w World) arguments(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if least <= len(args) && len(args) <= most {
			return nil
		}
		return w.Usage(fmt.Errorf("%s takes %s, not %q", c.CommandPath(), what, args))
	}
}

// open opens the build store.
func (w World) open() (*steprun.Runner, error) {
	dir := w.StoreDir()
	if dir == "" {
		return nil, w.Usage(errors.New("there is no place for the build store: name one (--build-store DIR), or set XDG_CACHE_HOME or HOME"))
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

func (w World) print(format string, args ...any) error {
	_, err := fmt.Fprintf(w.Stdout, format, args...)
	return err
}

// document prints a value as JSON.
func (w World) document(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return w.print("%s\n", text)
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
	return w.print("removed %s and %s (%s)\n", units.Count(len(ids), "result"), units.Count(len(g.Digests), "object"), units.FormatBytes(g.Bytes))
}
