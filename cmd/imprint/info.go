package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"imprint/image"
	"imprint/internal/hosttool"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (r *root) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Show which host tools are there and what each is needed for",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			t := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "TOOL\tVERSION\tPACKAGE\tNEEDED FOR")
			for _, tool := range hosttool.Tools() {
				version, err := hosttool.Version(c.Context(), tool.Name)
				if err != nil {
					version = "missing"
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", tool.Name, version, tool.Package, tool.Purpose)
			}
			return t.Flush()
		},
	}
}

func (r *root) init() *cobra.Command {
	return &cobra.Command{
		Use:     "init",
		Short:   "Write a commented description to start from",
		Example: "  imprint init > image.toml",
		Args:    exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(r.stdout, image.StartingDescription())
			return err
		},
	}
}

func (r *root) schema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Write the JSON Schema of the description language",
		Long:  "schema writes the JSON Schema of the description language, with which editors complete and check descriptions.",
		Args:  exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			_, err := r.stdout.Write(image.Schema())
			return err
		},
	}
}

func (r *root) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version",
		Args:  exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(r.stdout, "imprint %s (%s, %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// buildVersion is what the Go tool has recorded: a release, or the revision that was built.
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
