package main

import (
	"fmt"
	"text/tabwriter"

	"imprint/image/plan"
	"imprint/internal/tree"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

func (r *root) plan() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "plan FILE",
		Short: "Show what an image will contain, without writing it",
		Long: `plan reads a description and the inputs it names, and shows the disk: partitions, offsets, sizes, inodes, and the largest
files and store items in each partition. It writes nothing. A size is exact, or a bound if a host tool makes the
partition.`,
		Example: "  imprint plan image.toml\n  imprint plan image.toml --json | jq .partitions",
		Args:    exactly(1, "one description FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			defer r.ui.clear()
			d, err := parse(args[0])
			if err != nil {
				return err
			}
			p, err := r.resolve(c.Context(), args[0], d, "")
			if err != nil {
				return err
			}
			r.ui.clear()
			m := p.plan.Manifest(p.layout, 5)
			if asJSON {
				_, err = r.stdout.Write(m.JSON())
				return err
			}
			return r.show(m)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the plan as a JSON document")
	return c
}

// show prints a plan for people.
func (r *root) show(m *plan.Manifest) error {
	fmt.Fprintf(r.stdout, "%s: %s disk of %s (%d bytes), sectors of %d bytes, %s\n", m.Name, m.Format,
		units.FormatBytes(m.Size), m.Size, m.SectorSize, units.Count(len(m.Items), "store item"))
	id := "disk GUID " + m.DiskGUID
	if m.Signature != "" {
		id = "MBR with disk signature " + m.Signature
	}
	fmt.Fprintf(r.stdout, "%s, seed %.16s…, epoch %d\n\n", id, m.Seed, m.Epoch)
	t := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NR\tNAME\tTYPE\tFILE SYSTEM\tOFFSET\tSIZE\t\tINODES\tFREE\tPARTUUID")
	for _, p := range m.Partitions {
		kind := "exact"
		if !p.Exact {
			kind = "bound"
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", p.Number, oneLine(p.Name), p.Type, p.Filesystem, p.Offset, p.Size, kind,
			count(p.Inodes), bytes(p.FreeBytes), p.PartUUID)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, p := range m.Partitions {
		if len(p.Largest) == 0 {
			continue
		}
		fmt.Fprintf(r.stdout, "\nlargest in %s:\n", oneLine(p.Name))
		for _, l := range p.Largest {
			fmt.Fprintf(r.stdout, "  %10s  %s\n", units.FormatBytes(l.Bytes), tree.Shown(l.Path))
		}
	}
	return nil
}

func count(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func bytes(n int64) string {
	if n == 0 {
		return "-"
	}
	return units.FormatBytes(n)
}
