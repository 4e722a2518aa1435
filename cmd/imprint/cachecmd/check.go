package cachecmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"imprint/internal/cas"
	"imprint/internal/objects"
	"imprint/internal/sandbox"
	"imprint/internal/scratch"
	"imprint/internal/steprun"
	"imprint/internal/units"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

func (w World) verify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Read everything that steps have made and builds have kept, and compare it with its digests",
		Long: `verify reads all records, layers and contents of results, and what is kept by its hash: bases, inputs and what came from binary caches. It prints
a line for each that is missing or damaged, and exits with 5 if there is one. imprint cache delete removes a result; the next build that
needs what is damaged makes or fetches it again.`,
		Args: w.Arguments(0, 0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := w.open()
			if err != nil {
				return err
			}
			return w.Verify(c.Context(), func(ctx context.Context, report func(error)) (int, error) {
				n, err := r.Verify(ctx, func(id objects.Digest, err error) { report(fmt.Errorf("%s: %w", objects.Text(id), err)) })
				if err != nil {
					return n, err
				}
				kept, err := cas.Verify(ctx, w.StoreDir(), report)
				return n + kept, err
			})
		},
	}
}

func (w World) healthcheck() *cobra.Command {
	var patience int
	c := &cobra.Command{
		Use:   "healthcheck",
		Short: "Find out whether steps can run here",
		Long: `healthcheck sets up a sandbox, and prints what steps can use: the build store, user namespaces, and the owners that files can have.
What stops steps is an error, with the remedy. Everything that has no steps works without them.`,
		Args: w.Arguments(0, 0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			if patience <= 0 {
				return w.Usage(fmt.Errorf("--timeout is %d; it must be a number of seconds from 1 on", patience))
			}
			ctx, cancel := context.WithTimeout(c.Context(), time.Duration(patience)*time.Second)
			defer cancel()
			r, err := w.open()
			if err != nil {
				return err
			}
			return w.health(ctx, r)
		},
	}
	c.Flags().IntVar(&patience, "timeout", 30, "give up after this many `seconds`")
	return c
}

// health prints the state of everything that steps need.
func (w World) health(ctx context.Context, r *steprun.Runner) error {
	probe := r.Probe(ctx)
	free, err := scratch.Free(r.Store.Dir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := w.Print("build store  %s (%s free)\n", visible.Line(r.Store.Dir()), units.FormatBytes(free)); err != nil {
		return err
	}
	if probe != nil {
		var forbidden *sandbox.ForbiddenError
		if errors.As(probe, &forbidden) {
			return fmt.Errorf("%w; %s", forbidden, forbidden.Hint())
		}
		return probe
	}
	i := r.Identity
	owners := fmt.Sprintf("one; %s", sandbox.OneIDHint)
	switch {
	case i.Root:
		owners = "all"
	case i.Sub != nil:
		owners = fmt.Sprintf("%d users and %d groups", i.Sub.UIDs.Count+1, i.Sub.GIDs.Count+1)
	}
	return w.Print("sandbox      user, mount, pid, net and ipc namespaces; seccomp, no_new_privs\nowners       %s\n", owners)
}
