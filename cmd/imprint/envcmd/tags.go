package envcmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"imprint/cmd/imprint/family"
	"imprint/internal/environment"
	"imprint/internal/objects"
	"imprint/internal/steprun"
	"imprint/internal/units"
	"imprint/internal/workspace"

	"github.com/spf13/cobra"
)

func (w World) tag() *cobra.Command {
	var remove bool
	c := &cobra.Command{
		Use:   "tag NAME TAG [AT]",
		Short: "Set or remove a tag of an environment",
		Long: `tag makes TAG lead to the current stack, or to that of AT, another tag or a pin. TAG may be there already: so "tag web current stable"
makes the stable stack current. The root does not move.`,
		Example: "  imprint env tag web stable\n  imprint env tag web current stable\n  imprint env tag web --delete stable",
		Args:    w.Arguments(2, 3, "a NAME, a TAG and perhaps another one"),
		RunE: func(c *cobra.Command, args []string) error {
			s, _, err := w.find(args[0])
			if err != nil {
				return err
			}
			switch {
			case remove && len(args) == 3:
				return w.Usage(errors.New("--delete takes no third argument"))
			case remove:
				return explained(s.Untag(c.Context(), args[0], args[1]))
			}
			at := environment.Current
			if len(args) == 3 {
				at = args[2]
			}
			pin, err := s.Tag(c.Context(), args[0], args[1], at)
			if err != nil {
				return explained(err)
			}
			return w.Print("%s: %s is %s\n", args[0], args[1], short(pin))
		},
	}
	c.Flags().BoolVar(&remove, "delete", false, "remove the tag")
	return c
}

func (w World) rollBack() *cobra.Command {
	return &cobra.Command{
		Use:   "roll-back NAME",
		Short: "Make the stack below the uppermost layer current",
		Long: `roll-back moves the tag current one layer down. It is refused on the first layer. The layer above is removed by the next
imprint env gc, unless another tag leads there.`,
		Args: w.Arguments(1, 1, "a NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			s, e, err := w.find(args[0])
			if err != nil {
				return err
			}
			old := e.Tags[environment.Current]
			pin, err := s.RollBack(c.Context(), args[0])
			if err != nil {
				return fmt.Errorf("roll back %s: %w", args[0], err)
			}
			return w.Print("%s: current was %s and is %s\n", args[0], short(old), short(pin))
		},
	}
}

func (w World) remove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove an environment and what only it has",
		Long: `remove removes an environment, with the layers and contents that no other environment has. What others share is not removed, and is
listed.`,
		Args: w.Arguments(1, 1, "a NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			s, _, err := w.find(args[0])
			if err != nil {
				return err
			}
			space, err := workspace.Await(c.Context(), runs(s), args[0])
			if err != nil {
				return err
			}
			defer space.Close()
			g, shared, err := s.Remove(c.Context(), args[0])
			if err != nil {
				return err
			}
			for _, d := range sortedKeys(shared) {
				if err := w.Print("layer %s stays: %s has it\n", short(d), strings.Join(shared[d], ", ")); err != nil {
					return err
				}
			}
			if err := w.Print("removed %s: %s\n", args[0], freed(g)); err != nil {
				return err
			}
			return errors.Join(space.Remove(c.Context(), Identity()), sweepTrees(c.Context(), s, func(d objects.Digest) bool { return !slices.Contains(g.Digests, d) }))
		},
	}
}

func freed(g environment.Garbage) string {
	return fmt.Sprintf("%s, %s", units.Count(len(g.Digests), "object"), units.FormatBytes(g.Bytes))
}

func (w World) gc() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "gc",
		Short: "Remove layers and contents that nothing leads to",
		Long: `gc removes from the build store what no tag of an environment, no generation of a series and nothing that a step has made leads to:
layers after a roll-back, what a killed command has added, and trees in which commands ran. It waits for commands and builds that
use the store, for at most 20 seconds. What an environment leads to and is not there is reported, and is an error.`,
		Args: w.Arguments(0, 0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := w.open()
			if err != nil {
				return err
			}
			g, err := Collect(c.Context(), s, dryRun)
			if err != nil {
				return err
			}
			if dryRun {
				for _, d := range g.Digests {
					if err := w.Print("%s\n", objects.Text(d)); err != nil {
						return err
					}
				}
			}
			return Collected(w.World, g, Verb(dryRun), "imprint env verify")
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "list the digests of what would be removed, and remove nothing")
	return c
}

// Verb says what is done with garbage.
func Verb(dryRun bool) string {
	if dryRun {
		return "would remove"
	}
	return "removed"
}

// Collected prints how much is, or would be, collected. What something leads to and is not there is an error, and verify the command that lists where.
func Collected(w family.World, g environment.Garbage, verb, verify string) error {
	err := w.Print("%s %s\n", verb, freed(g))
	if err == nil && len(g.Missing) > 0 {
		err = fmt.Errorf("%s %w, the first is %s: %s lists where", units.Count(len(g.Missing), "object"), objects.ErrMissing, short(g.Missing[0]), verify)
	}
	return err
}

// Collect removes what nothing in a store leads to, or finds out what that is, with the files of commands that ran in what is no more.
func Collect(ctx context.Context, s *environment.Store, dryRun bool) (environment.Garbage, error) {
	return s.Collect(ctx, dryRun, func(names []string, live map[objects.Digest]bool) error {
		return errors.Join(sweep(ctx, s, names, live), (&steprun.Runner{Store: s, Identity: Identity()}).Sweep(ctx))
	})
}

// sweep removes the files of commands that ran in what is no more.
func sweep(ctx context.Context, s *environment.Store, names []string, live map[objects.Digest]bool) error {
	known := map[string]bool{}
	for _, name := range names {
		known[name] = true
	}
	err := workspace.Sweep(ctx, runs(s), Identity(), func(name string) bool { return known[name] })
	return errors.Join(err, sweepTrees(ctx, s, func(d objects.Digest) bool { return live[d] }))
}

// sweepTrees removes the files of stacks that keep does not take.
func sweepTrees(ctx context.Context, s *environment.Store, keep func(objects.Digest) bool) error {
	return workspace.Sweep(ctx, trees(s), Identity(), func(name string) bool {
		d, err := objects.Parse(strings.TrimSuffix(name, owned))
		return err == nil && keep(d)
	})
}

func (w World) verify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Read everything that environments have, and compare it with its digests",
		Long: `verify reads all links, layers and contents that the tags of environments lead to. It prints a line for each that is missing
or damaged, and exits with 5 if there is one.`,
		Args: w.Arguments(0, 0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := w.open()
			if err != nil {
				return err
			}
			return w.Verify(c.Context(), s.Verify)
		},
	}
}
