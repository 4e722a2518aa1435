package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"imprint/image/description"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (r *root) init() *cobra.Command {
	c := r.prints("init", "Print a commented description to start from", description.Starting)
	c.Example = "  imprint init > image.toml"
	return c
}

func (r *root) schema() *cobra.Command {
	c := r.prints("schema", "Print the JSON Schema of the description language", func() string { return string(description.Schema()) })
	c.Long = "schema prints the JSON Schema of the description language, with which editors complete and check descriptions."
	return c
}

func (r *root) version() *cobra.Command {
	return r.prints("version", "Print the version", func() string {
		return fmt.Sprintf("imprint %s (%s, %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	})
}

// prints returns a command without arguments that prints a text.
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

// buildVersion returns the version that the Go tool recorded: a release, or the revision that was built.
func buildVersion() string {
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
		Use:     "man DIR",
		Short:   "Write the man pages to a directory",
		Example: "  imprint man /usr/local/share/man/man1",
		Args:    exactly(1, "one DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			c.Root().DisableAutoGenTag = true
			return doc.GenManTree(c.Root(), &doc.GenManHeader{Title: "IMPRINT", Section: "1", Source: "imprint", Manual: " "}, args[0])
		},
	}
}
