package imagecmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"imprint/image/disk"
	"imprint/image/inspect"
	"imprint/internal/output"

	"github.com/spf13/cobra"
)

func (w World) inspect() *cobra.Command {
	var deep bool
	var page string
	c := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Show the partitions, file systems, boot entries and stores of a disk image",
		Long: `inspect shows the partitions of a disk image, the file systems in them with features and free space, the entries of boot menus,
and the stores: how many items, their GC roots, and the largest items.

--deep reads more: the number of pieces of files, and the space that hard links in place of equal files would save. --html writes a
self-contained page with the disk to scale, the items of each store as a map, and the references that lead to each.`,
		Example: "  imprint inspect web.raw\n  imprint inspect --html web.html web.raw",
		Args:    w.Exactly(1, "one IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			open := disk.Outline
			if deep {
				open = disk.Open
			}
			d, f, err := openWith(c.Context(), args[0], w.Scratch(), open)
			if err != nil {
				return err
			}
			defer f.Close()
			report, err := inspect.Of(c.Context(), d, inspect.Options{Deep: deep, Graph: page != ""})
			if err != nil {
				return err
			}
			return w.showReport(args[0], page, report)
		},
	}
	c.Flags().BoolVar(&deep, "deep", false, "read all file maps and equal files, too")
	c.Flags().BoolVar(w.JSON, "json", false, "write a JSON document to standard output")
	c.Flags().StringVar(&page, "html", "", "write a page to `FILE`, - for standard output")
	return c
}

// showReport prints a report, or writes it as a page.
func (w World) showReport(image, page string, report *inspect.Report) error {
	name := filepath.Base(image)
	switch {
	case page == "-":
		return report.Page(w.Raw, name)
	case page != "":
		return w.writePage(page, name, image, report)
	case *w.JSON:
		text, err := json.MarshalIndent(report, "", "  ")
		if err == nil {
			_, err = fmt.Fprintf(w.Stdout, "%s\n", text)
		}
		return err
	}
	return report.Text(w.Stdout, name)
}

// writePage writes a page to a file. It refuses to replace the image.
func (w World) writePage(file, name, image string, report *inspect.Report) (err error) {
	if output.Same(file, image) {
		return w.usagef("--html %s is the image", file)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return report.Page(f, name)
}
