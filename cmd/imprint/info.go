package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"imprint/image/description/reference"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (r *root) version() *cobra.Command {
	return r.prints("version", "Print the version", func() string {
		return fmt.Sprintf("imprint %s (%s, %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	})
}

// prints returns a command that takes no arguments and prints a text.
func (r *root) prints(use, short string, text func() string) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(r.stdout, text())
			return err
		},
	}
}

// release is the version set by the linker (-X main.release), which make takes from git tags.
var release string

// buildVersion returns the release, or what the Go tool recorded: the version of the module, or the revision.
func buildVersion() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && info.Main.Version == "(devel)" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return info.Main.Version
}

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
