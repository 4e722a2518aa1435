package imagecmd

import (
	"context"
	"io"

	"imprint/image/diff"
	"imprint/image/disk"

	"github.com/spf13/cobra"
)

func (w World) diff() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Show how two disk images differ, and why",
		Long: `diff compares two disk images of imprint or of other tools, also of different layout: partitions, the fields of file systems and
partition tables, files, store items and their registration. For an item it names the chain of references from a GC root.
Identifiers, times, checksums and unused space, which seldom matter, are listed last. It exits with 6 if the images differ.`,
		Example: "  imprint diff old.raw new.raw\n  imprint diff --json old.raw new.raw | jq '.changes[].object'",
		Args:    w.Exactly(2, "two images"),
		RunE: func(c *cobra.Command, args []string) error {
			a, f, err := w.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			b, g, err := w.open(c.Context(), args[1])
			if err != nil {
				return err
			}
			defer g.Close()
			return w.Compare(c.Context(), a, b, diff.Options{}, all)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "list every difference, however many there are")
	c.Flags().BoolVar(w.JSON, "json", false, "print the differences as a JSON document")
	return c
}

// Compare prints how two disks differ, as diff does. It returns w.Differs if they do.
func (w World) Compare(ctx context.Context, a, b *disk.Disk, o diff.Options, all bool) error {
	changes, err := diff.Compare(ctx, a, b, o)
	if err != nil {
		return err
	}
	if *w.JSON {
		err = w.document(map[string]any{"equal": len(changes) == 0, "changes": append([]diff.Change{}, changes...)})
	} else {
		_, err = io.WriteString(w.Stdout, diff.Text(changes, all))
	}
	if err == nil && len(changes) > 0 {
		return w.Differs
	}
	return err
}
