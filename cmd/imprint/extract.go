package main

import (
	"fmt"
	"os"

	"imprint/internal/extract"
	"imprint/internal/tree"

	"github.com/spf13/cobra"
)

func (r *root) extract() *cobra.Command {
	return &cobra.Command{
		Use:   "extract IMAGE[:PARTITION] PATH DIR",
		Short: "Copy a file or directory out of a disk image",
		Long: `extract copies PATH of the image, with everything below it, into the directory DIR, which must be there. Links, holes, modes and
times are kept, and owners if the user is root. Device nodes and sockets are left out, with a warning. Nothing is written
outside of DIR, whatever names and links the image has.`,
		Example: "  imprint extract web.raw:root /etc out",
		Args:    exactly(3, "an IMAGE, a PATH and a DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			found, f, err := r.find(args[0], args[1])
			if err != nil {
				return err
			}
			defer f.Close()
			dir, err := os.OpenRoot(args[2])
			if err != nil {
				return err
			}
			defer dir.Close()
			omitted, err := extract.All(c.Context(), dir, found, extract.Options{Owners: os.Geteuid() == 0})
			if err != nil {
				return fmt.Errorf("extract %s: %w", tree.Shown(found.Path), err)
			}
			for _, path := range omitted {
				fmt.Fprintf(r.stderr, "warning: %s is left out: it is no file, directory or link\n", tree.Shown(path))
			}
			return nil
		},
	}
}
