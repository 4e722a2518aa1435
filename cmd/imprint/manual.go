package main

import (
	"os"
	"path/filepath"

	"imprint/image/description/reference"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (r *root) man() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages to a directory",
		Long: `man writes the manual pages to DIR/man1 and DIR/man5: a page for each command, and imprint.toml(5), which explains every
key of a description.`,
		Example: "  imprint man /usr/local/share/man\n  man -M DIR imprint.toml",
		Args:    exactly(1, "one DIR"),
		RunE:    func(c *cobra.Command, args []string) error { return writeManual(c.Root(), args[0]) },
	}
}

// writeManual writes the manual pages below an existing directory. Their date is SOURCE_DATE_EPOCH, if set; imprint.toml(5)
// has none.
func writeManual(c *cobra.Command, dir string) error {
	for _, section := range []string{"man1", "man5"} {
		if err := os.Mkdir(filepath.Join(dir, section), 0o755); err != nil && !os.IsExist(err) {
			return err
		}
	}
	c.DisableAutoGenTag = true
	header := &doc.GenManHeader{Title: "IMPRINT", Section: "1", Source: "imprint", Manual: " "}
	if err := doc.GenManTree(c, header, filepath.Join(dir, "man1")); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "man5", "imprint.toml.5"), reference.Manual(), 0o644)
}
