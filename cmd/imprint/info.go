package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
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
