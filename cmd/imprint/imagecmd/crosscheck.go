package imagecmd

import (
	"context"
	"fmt"
	"os"

	"imprint/container"
	"imprint/image/crosscheck"
	"imprint/image/disk"
	"imprint/internal/pieces"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

// expanded returns a file without a name that holds the disk of a file of another format.
func (w World) expanded(ctx context.Context, packed *pieces.Image) (*os.File, error) {
	return unnamed(w.Scratch(), func(f *os.File) error { return container.Expand(ctx, f, packed) })
}

// readerCommand is the command that [World.byOthers] runs.
const readerCommand = "reader"

// byOthers returns the check of what other libraries see in an image, which is raw in a file.
func (w World) byOthers(f *os.File) check {
	return func(ctx context.Context, d *disk.Disk, report func(disk.Fault)) (string, error) {
		c := crosscheck.Checker{
			Ask:    crosscheck.Process("/proc/self/exe", "imprint", readerCommand),
			Report: report,
			Warn:   func(text string) { w.Log.Warn(text) },
		}
		err := c.Disk(ctx, d, f)
		return fmt.Sprintf(", %s seen alike by other libraries", units.Count(c.Seen, "thing")), err
	}
}

// reader returns the hidden command of the process that asks another library.
func (w World) reader() *cobra.Command {
	return &cobra.Command{
		Use: readerCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return crosscheck.Serve(w.Stdin, w.Raw, w.Stderr) },
	}
}
