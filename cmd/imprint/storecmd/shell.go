package storecmd

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"imprint/closure"
	"imprint/internal/sandbox"

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

func (m *commands) runShell(ctx context.Context, dir string, texts, argv []string) error {
	p, err := m.open(ctx, dir)
	if err != nil {
		return err
	}
	defer p.close()
	if p.kind != directoryKind {
		return m.Usage(fmt.Errorf("%s is no store directory", dir))
	}
	roots, err := p.roots(texts)
	if err != nil {
		return err
	}
	if _, err := p.about(ctx, roots); err != nil {
		return err
	}
	p.close() // the command may change the store
	err = sandbox.RunBound(ctx, sandbox.Bound{
		Over: mounts(p), Argv: argv, Env: withPath(m.Environ(), roots), Root: m.Root(), UID: m.UID, GID: m.GID, Stdin: m.Stdin, Stdout: m.Raw, Stderr: m.RawErr,
	})
	var forbidden *sandbox.ForbiddenError
	if errors.As(err, &forbidden) {
		return fmt.Errorf("%w; %s", err, forbidden.Hint())
	}
	return err
}

// mounts returns what makes a store directory that of the machine: its directory in the root directory, and the state directory if that is elsewhere.
func mounts(p *place) []sandbox.Mount {
	f := p.flavor
	if top := f.Top(); top != "" {
		return []sandbox.Mount{{From: p.prefix + top, At: top}}
	}
	top := path.Dir(f.StoreDir)
	return []sandbox.Mount{{From: p.prefix + top, At: top}, {From: p.prefix + f.StateDir, At: f.StateDir}}
}

// withPath returns an environment with the programs of some items before others.
func withPath(environ []string, roots []closure.Path) []string {
	list := ""
	for _, r := range roots {
		list += r.String() + "/bin:"
	}
	env, before := []string{}, "/usr/local/bin:/usr/bin:/bin"
	for _, v := range environ {
		if value, ok := strings.CutPrefix(v, "PATH="); ok {
			before = value
		} else {
			env = append(env, v)
		}
	}
	return append(env, "PATH="+list+before)
}
