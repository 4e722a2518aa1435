package storecmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (m *commands) shell() *cobra.Command {
	c := &cobra.Command{
		Use:   "shell DIR ROOT… -- COMMAND…",
		Short: "Run a command with a store directory in place of the machine's store",
		Long: `shell runs a command in a user namespace in which the store directory is the machine's store: DIR/nix is mounted at /nix, or DIR/gnu at /gnu
and DIR/var/guix at /var/guix. Everything else is as outside; the command has the rights of the user, and programs of the store find what
they refer to. The directories bin of the ROOTs are the first in PATH. Where the machine has no such directory, one is made in a new root directory
in which everything else is mounted.`,
		Example: "  imprint store shell /mnt ./result -- bash",
		Args: func(c *cobra.Command, args []string) error {
			if at := c.ArgsLenAtDash(); at < 2 || len(args) == at {
				return m.Usage(fmt.Errorf("%s takes a DIR, ROOTs and, after --, a COMMAND", c.CommandPath()))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return m.runShell(c.Context(), args[0], args[1:c.ArgsLenAtDash()], args[c.ArgsLenAtDash():])
		},
	}
	return c
}

func (m *commands) runShell(ctx context.Context, dir string, roots, argv []string) error { return nil }
