package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"imprint/internal/hosttool"

	"github.com/spf13/cobra"
)

func (r *root) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "List the host tools, their versions, and what needs them",
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

// release is the version that the linker was given (-X main.release), which make takes from the tags.
var release string

// buildVersion returns the release, else what the Go tool recorded: the version of the module, or the revision that was built.
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
