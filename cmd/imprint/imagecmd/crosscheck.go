package imagecmd

import (
	"context"
	"errors"
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
	f, err := os.CreateTemp(w.Scratch(), "imprint-")
	if err != nil {
		return nil, err
	}
	if err = errors.Join(os.Remove(f.Name()), container.Expand(ctx, f, packed)); err != nil {
		f.Close()
	}
	return f, err
}

// readerCommand is the command that [World.crossCheck] runs.
const readerCommand = "reader"

// crossCheck compares an image with what other libraries see in it, and returns a summary for the report.
func (w World) crossCheck(ctx context.Context, d *disk.Disk, f *os.File, report func(disk.Fault)) (string, error) {
	c := crosscheck.Checker{
		Ask:    crosscheck.Process("/proc/self/exe", "imprint", readerCommand),
		Report: report,
		Warn:   func(text string) { w.Log.Warn(text) },
	}
	err := c.Disk(ctx, d, f)
	return fmt.Sprintf(", %s seen alike by other libraries", units.Count(c.Seen, "thing")), err
}

// reader returns the hidden command of the process that asks another library.
func (w World) reader() *cobra.Command {
	return &cobra.Command{
		Use: readerCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return crosscheck.Serve(w.Stdin, w.Raw, w.Stderr) },
	}
}
