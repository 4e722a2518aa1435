package imagecmd

import (
	"errors"
	"fmt"
	"os"

	"imprint/internal/extract"
	"imprint/internal/tree"

	"github.com/spf13/cobra"
)

func (w World) extract() *cobra.Command {
	var archive string
	c := &cobra.Command{
		Use:   "extract IMAGE[:PARTITION] PATH DIR",
		Short: "Copy a file or directory out of a disk image",
		Long: `extract copies PATH of the image, with everything below it, into the directory DIR, which must exist. PATH may be a pattern, as
in descriptions: then all that it matches is copied. Links, holes, modes, times and extended attributes are kept, and owners if the
user is root. Device nodes, fifos and sockets are omitted, with a warning, and so are extended attributes that cannot be set.
Nothing is written outside of DIR, whatever names and links the image has.

With --tar it writes a tar archive in place of DIR, which keeps owners, device nodes, holes, extended attributes and access control lists
without root, and omits sockets alone. GNU tar extracts all with --xattrs --xattrs-include='*' --acls.`,
		Example: "  imprint extract web.raw:root /etc out\n  imprint extract web.raw:root / --tar - | tar -t",
		Args: func(c *cobra.Command, args []string) error {
			if archive != "" {
				return w.Exactly(2, "an IMAGE and a PATH, with --tar")(c, args)
			}
			return w.Exactly(3, "an IMAGE, a PATH and a DIR")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			found, f, err := w.find(c.Context(), args[0], args[1], false)
			if err != nil {
				return err
			}
			defer f.Close()
			var omitted []extract.Omission
			if archive != "" {
				omitted, err = w.toArchive(c, archive, found)
			} else {
				omitted, err = w.toDirectory(c, args[2], found)
			}
			if err != nil {
				return fmt.Errorf("extract %s: %w", tree.Shown(args[1]), err)
			}
			for _, o := range omitted {
				fmt.Fprintf(w.Stderr, "warning: %s %s\n", tree.Shown(o.Path), o.Why)
			}
			return nil
		},
	}
	c.Flags().StringVar(&archive, "tar", "", "write a tar archive to `FILE`, which must not exist, or to standard output if it is -")
	return c
}

func (w World) toDirectory(c *cobra.Command, name string, found []tree.Walked) ([]extract.Omission, error) {
	dir, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return extract.Directory(c.Context(), dir, found, extract.Options{Owners: w.Owners})
}

// toArchive writes an archive. It removes an incomplete one.
func (w World) toArchive(c *cobra.Command, name string, found []tree.Walked) (omitted []extract.Omission, err error) {
	if name == "-" {
		return extract.Archive(c.Context(), w.Raw, found)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(name))
		}
	}()
	return extract.Archive(c.Context(), f, found)
}
