package cachecmd

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"imprint/cmd/imprint/family"
	"imprint/internal/objects"
	"imprint/internal/stepstore"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

func (w World) delete() *cobra.Command {
	var caches []string
	c := &cobra.Command{
		Use:   "delete [ID|NAME…] [--cache NAME]",
		Short: "Remove what steps have made, with all that was made on top of it",
		Long: `delete removes results and those of later steps whose trees have them, and the contents that nothing else leads to. With --cache it removes
a named cache, unless a step uses it.`,
		Example: "  imprint cache delete packages\n  imprint cache delete --cache apt",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && len(caches) == 0 {
				return w.Usage(fmt.Errorf("%s takes IDs or NAMES of steps, or --cache", c.CommandPath()))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			r, err := w.open()
			if err != nil {
				return err
			}
			list, _, err := r.Store.Steps().All()
			if err != nil {
				return err
			}
			var ids []objects.Digest
			for _, text := range args {
				found, err := named(r.Store.Steps(), list, text)
				if err != nil {
					return err
				}
				ids = append(ids, found...)
			}
			for _, name := range caches {
				if err := r.Caches().Remove(name); err != nil {
					return family.Suggesting(err, "a step with a cache")
				}
				if err := w.Print("removed the cache %s\n", visible.Line(name)); err != nil {
					return err
				}
			}
			if len(args) == 0 {
				return nil
			}
			return w.removed(c.Context(), r, stepstore.Dependants(list, ids...))
		},
	}
	c.Flags().StringArrayVar(&caches, "cache", nil, "remove the cache of this `name`; may be repeated")
	return c
}

// named returns the IDs that a text names; a whole ID may be that of a damaged result.
func named(s *stepstore.Store, list []*stepstore.Result, text string) (ids []objects.Digest, err error) {
	if id, err := objects.Parse(text); err == nil {
		if _, err := s.Get(id); errors.Is(err, objects.ErrDamaged) {
			return []objects.Digest{id}, nil
		}
	}
	found, err := find(list, text)
	for _, r := range found {
		ids = append(ids, r.ID)
	}
	return ids, err
}

func (w World) prune() *cobra.Command {
	var before string
	var most int
	var kept bool
	c := &cobra.Command{
		Use:   "prune [--before AGE|DATE] [--max N]",
		Short: "Remove what steps have made and was not used lately",
		Long: `prune removes results that were neither made nor found since a time, the oldest first, and the contents that nothing else leads to. A result
that others were made on top of goes only after those. With --kept it removes instead what builds have kept by its hash, of bases, inputs and binary
caches, and have not read since that time, as far as the file system records when a file is read; no build may run meanwhile.`,
		Example: "  imprint cache prune --before 30d\n  imprint cache prune --kept --before 30d\n  imprint cache prune --before 2026-01-31 --max 10",
		Args:    w.Arguments(0, 0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			if before == "" && most < 0 {
				return w.Usage(fmt.Errorf("%s takes --before, --max or both", c.CommandPath()))
			}
			until, err := when(before, w.Now())
			if err != nil {
				return w.Usage(err)
			}
			if kept {
				return w.pruneKept(until, most)
			}
			r, err := w.open()
			if err != nil {
				return err
			}
			list, damaged, err := r.Store.Steps().All()
			if err != nil {
				return err
			}
			return w.removed(c.Context(), r, append(stepstore.Old(list, until, most), damaged...))
		},
	}
	c.Flags().StringVar(&before, "before", "", "remove what was not used for this long, such as 12h or 30d, or since this `time`, such as 2026-01-31")
	c.Flags().IntVar(&most, "max", -1, "remove at most this `number` of results")
	c.Flags().BoolVar(&kept, "kept", false, "remove kept contents instead of results")
	return c
}

var age = regexp.MustCompile(`^([0-9]{1,5})([smhd])$`)

// when returns the time that a text means: an age or a date, or now if it is empty.
func when(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	if m := age.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1])
		unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
		return now.Add(-time.Duration(n) * unit), nil
	}
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return now, fmt.Errorf("%q is neither an age, such as 12h or 30d, nor a time, such as 2026-01-31 or 2026-01-31T12:00:00Z", text)
}
