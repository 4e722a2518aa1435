package seriescmd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"imprint/cmd/imprint/envcmd"
	"imprint/internal/environment"
	"imprint/internal/series"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

func (w World) tag() *cobra.Command {
	var remove bool
	c := &cobra.Command{
		Use:   "tag NAME TAG [AT]",
		Short: "Set or remove a tag of a series",
		Long: `tag makes TAG lead to the current generation, or to that of AT, another tag or a number. TAG may be there already: so "tag web current 3"
makes generation 3 current.`,
		Example: "  imprint series tag web stable\n  imprint series tag web current stable\n  imprint series tag web --delete stable",
		Args:    w.Arguments(2, 3, "a NAME, a TAG and perhaps another one"),
		RunE: func(c *cobra.Command, args []string) error {
			s, _, err := w.open()
			if err != nil {
				return err
			}
			switch {
			case remove && len(args) == 3:
				return w.Usage(errors.New("--delete takes no third argument"))
			case remove:
				return suggesting(s.Untag(c.Context(), args[0], args[1]))
			}
			at := series.Current
			if len(args) == 3 {
				at = args[2]
			}
			if err := series.CheckTag(args[1]); err != nil {
				return w.Usage(err)
			}
			number, err := s.Tag(c.Context(), args[0], args[1], at)
			if err != nil {
				return suggesting(err)
			}
			return w.Print("%s: %s is generation %d\n", args[0], args[1], number)
		},
	}
	c.Flags().BoolVar(&remove, "delete", false, "remove the tag")
	return c
}

func (w World) rollBack() *cobra.Command {
	return &cobra.Command{
		Use:   "roll-back NAME",
		Short: "Make the generation before the current one current",
		Long: `roll-back moves the tag current to the generation before. It is refused on the first. "imprint series build NAME -o FILE" then makes that image.
The generation that was current stays until it is removed.`,
		Args: w.Arguments(1, 1, "a NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			s, _, err := w.open()
			if err != nil {
				return err
			}
			from, to, err := s.RollBack(c.Context(), args[0])
			if err != nil {
				return suggesting(fmt.Errorf("roll back %s: %w", line(args[0]), err))
			}
			return w.Print("%s: current was generation %d and is %d\n", args[0], from, to)
		},
	}
}

func (w World) remove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME[:TAG]",
		Short: "Remove a series, or a generation without tags",
		Long: `remove removes a series with all its generations, or, with a number, one generation, which must have no tag. Its contents are removed
by the next imprint series gc, unless something else has them.`,
		Args: w.Arguments(1, 1, "a NAME or NAME:NUMBER"),
		RunE: func(c *cobra.Command, args []string) error {
			s, _, err := w.open()
			if err != nil {
				return err
			}
			name, at, one := strings.Cut(args[0], ":")
			if !one {
				if err := s.Remove(c.Context(), name); err != nil {
					return suggesting(err)
				}
				return w.Print("removed %s\n", name)
			}
			number, err := s.RemoveGeneration(c.Context(), name, at)
			if err != nil {
				return suggesting(err)
			}
			return w.Print("removed generation %d of %s\n", number, name)
		},
	}
}

func (w World) gc() *cobra.Command {
	var dryRun bool
	var keep int
	c := &cobra.Command{
		Use:   "gc",
		Short: "Remove contents that nothing leads to",
		Long: `gc removes what is in the build store's layers and that neither a generation of a series nor an environment leads to, as imprint env gc does:
generations that were removed, and what a killed command has added. With --keep N it first removes from every series the
generations without a tag that are not among its last N. It waits for commands and builds that use the store, for at most 20 seconds.`,
		Args: w.Arguments(0, 0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			if keep < 0 {
				return w.Usage(fmt.Errorf("--keep is %d; it is a number of generations", keep))
			}
			s, _, err := w.open()
			if err != nil {
				return err
			}
			env, err := envcmd.OpenPruned(w.StoreDir(), keep)
			if err != nil {
				return err
			}
			return w.collect(c.Context(), s, env, keep, dryRun)
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be removed, and remove nothing")
	c.Flags().IntVar(&keep, "keep", 0, "first remove all but the last `N` generations of each series, and those with tags")
	return c
}

// collect prunes series unless keep is 0, and removes what nothing leads to.
func (w World) collect(ctx context.Context, s *series.Store, env *environment.Store, keep int, dryRun bool) error {
	if keep > 0 {
		gone, err := s.Prune(ctx, keep, dryRun)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(gone)) {
			if err := w.Print("%s %s of %s: %s\n", envcmd.Verb(dryRun), units.Count(len(gone[name]), "generation"), name, strings.Trim(fmt.Sprint(gone[name]), "[]")); err != nil {
				return err
			}
		}
	}
	g, err := envcmd.Collect(ctx, env, dryRun)
	if err != nil {
		return err
	}
	return envcmd.Collected(w.World, g, envcmd.Verb(dryRun), "imprint series verify")
}

func (w World) verify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Read everything that series have, and compare it with its digests",
		Long: `verify reads all records and contents that the generations of all series lead to. It prints a line for each that is missing or damaged, and
exits with 5 if there is one. A build that needs something damaged removes it and fails; the
next one reads its source.`,
		Args: w.Arguments(0, 0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			s, _, err := w.open()
			if err != nil {
				return err
			}
			return w.Verify(c.Context(), s.Verify)
		},
	}
}
