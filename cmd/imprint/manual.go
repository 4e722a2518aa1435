package main

import (
	"os"
	"path/filepath"
	"strings"

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

// levels are the values of --log-level.
var levels = []cobra.Completion{"error", "warning", "info", "debug"}

// completions registers completions for the values of the global flags.
func (r *root) completions() {
	if err := r.cmd.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions(levels, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // for a flag that is not there
	}
}

// tomlFiles completes a description, the only argument of a command: a file that ends in .toml, or a directory on the way to
// one.
func tomlFiles(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []cobra.Completion{"toml"}, cobra.ShellCompDirectiveFilterFileExt
}

// atMost is cobra.MaximumNArgs with a usage error.
func atMost(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return usagef("%s takes %s, not %s", cmd.CommandPath(), what, strings.Join(args, " "))
	}
}
