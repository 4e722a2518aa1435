package main

import (
	"context"
	"fmt"
	"os"

	"imprint/image/crosscheck"
	"imprint/image/disk"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

// readerCommand is the command that [root.crossCheck] runs.
const readerCommand = "cross-check-reader"

// crossCheck compares an image with what other libraries see in it, and returns what it has compared.
func (r *root) crossCheck(ctx context.Context, d *disk.Disk, f *os.File, report func(disk.Fault)) (string, error) {
	c := crosscheck.Checker{
		Ask:    crosscheck.Process("/proc/self/exe", "imprint", readerCommand),
		Report: report,
		Warn:   func(text string) { r.log.Warn(text) },
	}
	err := c.Disk(ctx, d, f)
	return fmt.Sprintf(", %s seen alike by other libraries", units.Count(c.Seen, "thing")), err
}

// reader is the process of a second opinion. Nobody calls it by hand.
func (r *root) reader() *cobra.Command {
	return &cobra.Command{
		Use: readerCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return crosscheck.Serve(os.Stdin, r.raw, r.stderr) },
	}
}
