package cachecmd

import (
	"fmt"
	"io"
	"strings"
	"time"

	"imprint/cmd/imprint/family"
	"imprint/internal/objects"
	"imprint/internal/steprun"
	"imprint/internal/stepstore"
	"imprint/internal/units"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

// A shown is a result as it is printed.
type shown struct {
	ID    string    `json:"id"`
	Name  string    `json:"name"`
	Layer string    `json:"layer"`
	Bytes int64     `json:"bytes"` // of the contents of its files
	Used  time.Time `json:"used"`
	After []string  `json:"after"` // IDs of the results below it
}

// A counted is what stats prints.
type counted struct {
	Store   string             `json:"store"`
	Results int                `json:"results"`
	Bytes   int64              `json:"bytes"` // of their files, each content once
	Hits    int64              `json:"hits"`
	Misses  int64              `json:"misses"`
	Running []string           `json:"running"`
	Caches  []steprun.CacheUse `json:"caches"`
	Kept    keptCount          `json:"kept"`
}

func (w World) stats() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "stats",
		Short: "Count what steps have made, how often it was found, and what is kept",
		Args:  w.Arguments(0, 0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			r, err := w.open()
			if err != nil {
				return err
			}
			s, err := count(r)
			if err == nil {
				s.Kept, err = countKept(w.StoreDir())
			}
			if err != nil {
				return err
			}
			if asJSON {
				return w.Document(s)
			}
			return w.printStats(s)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON document")
	return c
}

func count(r *steprun.Runner) (s counted, err error) {
	list, _, err := r.Store.Steps().All()
	if err != nil {
		return s, err
	}
	s = counted{Store: r.Store.Dir(), Results: len(list), Running: []string{}, Caches: []steprun.CacheUse{}}
	s.Hits, s.Misses = r.Store.Steps().Counts()
	seen := map[objects.Digest]bool{}
	for _, one := range list {
		s.Bytes += bytesOf(r, one, seen)
	}
	for _, id := range r.Running() {
		s.Running = append(s.Running, objects.Text(id))
	}
	caches, err := r.Caches().List()
	s.Caches = append(s.Caches, caches...)
	return s, err
}

// bytesOf returns the size of the contents of a result that were not seen before. A layer that is damaged has none.
func bytesOf(r *steprun.Runner, one *stepstore.Result, seen map[objects.Digest]bool) (sum int64) {
	l, err := r.Store.Outline(one.Layer)
	if err != nil {
		return 0
	}
	for pin, size := range l.Contents() {
		if !seen[pin] {
			seen[pin] = true
			sum += size
		}
	}
	return sum
}

func (w World) printStats(s counted) error {
	err := w.Print("build store  %s\nresults      %d (%s)\nfound        %s, not found %s\nrunning      %d\n",
		visible.Line(s.Store), s.Results, units.FormatBytes(s.Bytes), times(s.Hits), times(s.Misses), len(s.Running))
	for _, c := range s.Caches {
		busy := ""
		if c.Busy {
			busy = ", in use"
		}
		if err == nil {
			err = w.Print("cache        %s (%s%s)\n", visible.Line(c.Name), units.FormatBytes(c.Bytes), busy)
		}
	}
	if err == nil {
		err = w.Print("kept         %s of bases, inputs and binary caches (%s)\n", units.Count(s.Kept.Contents, "content"), units.FormatBytes(s.Kept.Bytes))
	}
	return err
}

func times(n int64) string { return units.Count(int(n), "time") }

func (w World) list() *cobra.Command {
	return family.Table[shown]{Row: shown.row}.Command(w.World, &cobra.Command{
		Use:   "list",
		Short: "List what steps have made",
		Long: `list prints a line for each result: its ID, the step, when it was made or found for the last time, the size of its files, and the results
that its tree has below.`,
		Args: w.Arguments(0, 0, "no argument"),
	}, func([]string) ([]shown, error) {
		r, err := w.open()
		if err != nil {
			return nil, err
		}
		list, damaged, err := r.Store.Steps().All()
		if err != nil {
			return nil, err
		}
		for _, id := range damaged {
			fmt.Fprintf(w.Stderr, "warning: the result %s is damaged: imprint cache verify says how\n", objects.Text(id))
		}
		all := []shown{}
		for _, one := range list {
			all = append(all, show(r, one))
		}
		return all, nil
	})
}

func show(r *steprun.Runner, one *stepstore.Result) shown {
	s := shown{ID: objects.Text(one.ID), Name: one.Name, Layer: objects.Text(one.Layer), Used: one.Used.UTC(), After: []string{}}
	s.Bytes = bytesOf(r, one, map[objects.Digest]bool{})
	for _, id := range one.After {
		s.After = append(s.After, objects.Text(id))
	}
	return s
}

func (s shown) row() []string {
	after := []string{"-"}
	for i, id := range s.After {
		after = append(after[:min(i, len(after))], id[:12])
	}
	return []string{s.ID[:12], visible.Line(s.Name), s.Used.Format(time.DateTime), units.FormatBytes(s.Bytes), strings.Join(after, " ")}
}

func (w World) log() *cobra.Command {
	return &cobra.Command{
		Use:     "log ID|NAME",
		Short:   "Print what a step has written",
		Long:    "log prints the log of a result, or of all results of a step.",
		Example: "  imprint cache log packages",
		Args:    w.Arguments(1, 1, "an ID or the NAME of a step"),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := w.open()
			if err != nil {
				return err
			}
			list, _, err := r.Store.Steps().All()
			if err != nil {
				return err
			}
			found, err := find(list, args[0])
			if err != nil {
				return err
			}
			for _, one := range found {
				f, err := r.Store.Steps().Log(one.ID)
				if err != nil {
					return err
				}
				_, err = io.Copy(w.Stdout, f)
				if f.Close(); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
