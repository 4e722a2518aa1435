package main

import (
	"strings"

	"github.com/spf13/cobra"
)

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
