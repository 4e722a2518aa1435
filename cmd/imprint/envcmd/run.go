package envcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"imprint/internal/environment"
	"imprint/internal/hosttool"
	"imprint/internal/layer"
	"imprint/internal/named"
	"imprint/internal/objects"
	"imprint/internal/sandbox"
	"imprint/internal/tree"
	"imprint/internal/workspace"

	"github.com/spf13/cobra"
)

// A running is a call of run.
type running struct {
	name, tag            string
	save, clean, network bool
	argv                 []string
}

func (w World) run() *cobra.Command {
	var r running
	c := &cobra.Command{
		Use:   "run NAME [flags] -- COMMAND…",
		Short: "Run a command in an environment, and make what it writes a layer",
		Long: `run runs a command in the tree of an environment, as root of a user namespace, with a /proc and a /dev of its own and nothing of
the host. The layers do not change: what the command writes is kept beside them for the next run. With --save it becomes a
layer on the stack if the command succeeds; files that are new or have changed get the time of SOURCE_DATE_EPOCH, or 1. With
--clean the command starts without what earlier ones have written.

Root's commands see all owners, and so do those of a user with newuidmap and subordinate IDs (subuid(5)). Those of another user see
one: everything is root's, and a change to another owner fails; files that are saved keep the owners that they have in the layers
below, and new ones are root's.`,
		Example: "  imprint env run web -- sh\n  imprint env run web --save --network -- apt-get install -y nginx",
		Args: func(c *cobra.Command, args []string) error {
			if at := c.ArgsLenAtDash(); len(args) < 2 || at > 1 || at == 0 {
				return w.Usage(fmt.Errorf("%s takes a NAME and, after --, a COMMAND", c.CommandPath()))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			r.name, r.argv = args[0], args[1:]
			return w.runIn(c.Context(), r)
		},
	}
	c.Flags().SetInterspersed(true)
	c.Flags().StringVar(&r.tag, "tag", "", "run in the stack of this `tag`, on which --save puts the layer (default current)")
	c.Flags().BoolVar(&r.save, "save", false, "make what was written a layer")
	c.Flags().BoolVar(&r.clean, "clean", false, "discard what earlier commands have written and not saved")
	c.Flags().BoolVar(&r.network, "network", false, "let the command use the network")
	return c
}

func (w World) runIn(ctx context.Context, r running) error {
	s, e, err := w.find(r.name)
	if err != nil {
		return err
	}
	pin, err := s.Pin(e, r.tag)
	if err != nil {
		return explained(err)
	}
	release, err := s.Use(ctx)
	if err != nil {
		return err
	}
	defer release()
	space, err := workspace.Await(ctx, runs(s), r.name)
	if err != nil {
		return fmt.Errorf("run in %w", err)
	}
	defer space.Close()
	if err := dropSaved(ctx, s, e, space); err != nil {
		return err
	}
	t, err := w.prepare(ctx, s, space, pin, r)
	if err != nil {
		return err
	}
	if err := w.sandboxed(ctx, space, r); err != nil || !r.save {
		return err
	}
	if err := space.Hold(ctx, Identity()); err != nil {
		return err
	}
	if err := w.save(ctx, s, space, saving{r, pin, t}); err != nil {
		return errors.Join(err, space.Restore(context.WithoutCancel(ctx), Identity()))
	}
	return space.Clear(ctx, Identity())
}

// dropSaved discards what a command has written that was killed when that was saved already.
func dropSaved(ctx context.Context, s *environment.Store, e *environment.Environment, space *workspace.Workspace) error {
	as, err := space.Saved()
	if as == "" || err != nil {
		return err
	}
	var unknown *named.UnknownError
	switch _, err := s.Pin(e, as); {
	case errors.As(err, &unknown): // it was not: the writes are still to be saved
		return nil
	case err != nil:
		return err
	}
	return space.Clear(ctx, Identity())
}

// prepare makes everything ready for a command over a stack, and returns the tree of the stack.
func (w World) prepare(ctx context.Context, s *environment.Store, space *workspace.Workspace, pin objects.Digest, r running) (*tree.Tree, error) {
	who := Identity()
	if r.clean {
		if err := space.Clear(ctx, who); err != nil {
			return nil, err
		}
	}
	base, err := space.Base()
	if err != nil {
		return nil, err
	}
	if base != "" && base != objects.Text(pin) {
		return nil, fmt.Errorf("what commands have written in %s and was not saved is on the stack %.12s, and this one is %s: "+
			"discard it (--clean), or save it there (--tag %.12s --save)", r.name, line(base), short(pin), line(base))
	}
	t, err := s.Tree(pin)
	if err != nil {
		return nil, err
	}
	lower, err := workspace.Tree(ctx, trees(s), treeName(pin, who), t, who)
	if err != nil {
		return nil, err
	}
	return t, space.Begin(ctx, lower, objects.Text(pin), t.Root().Attr, who)
}

// treeName names the files of a stack, with their owners if the caller has subordinate IDs.
func treeName(pin objects.Digest, who sandbox.Identity) string {
	if who.Root || who.Sub == nil {
		return objects.Text(pin)
	}
	return objects.Text(pin) + owned
}

// owned ends the names of trees with owners that are not root's own.
const owned = ".owned"

func (w World) sandboxed(ctx context.Context, space *workspace.Workspace, r running) error {
	epoch, err := w.Epoch()
	if err != nil {
		return err
	}
	env := sandbox.Environment(epoch)
	if term := w.Env("TERM"); term != "" {
		env = append(env, "TERM="+term)
	}
	err = sandbox.Run(ctx, sandbox.Command{
		Dir: space.Dir, Argv: r.argv, Env: env, Host: "imprint", Network: r.network, Identity: Identity(), Stdin: w.Stdin, Stdout: w.Raw, Stderr: w.RawErr,
	})
	var forbidden *sandbox.ForbiddenError
	var exit *hosttool.ExitError
	switch {
	case errors.As(err, &forbidden):
		return fmt.Errorf("%w; %s", err, forbidden.Hint())
	case errors.As(err, &exit) && !Identity().Many(): // what it has said has gone to the user alone
		fmt.Fprintf(w.Stderr, "hint: %s\n", sandbox.OneIDHint)
	}
	return err
}

// A saving is a command that has run over the tree of a stack.
type saving struct {
	running
	pin   objects.Digest
	lower *tree.Tree
}

// save makes what was written a layer.
func (w World) save(ctx context.Context, s *environment.Store, space *workspace.Workspace, r saving) error {
	l, err := space.Writes(ctx, Identity())
	if err != nil {
		return err
	}
	if err := s.AddContents(ctx, l); err != nil {
		return err
	}
	epoch, err := w.Epoch()
	if err != nil {
		return err
	}
	if l, err = l.Over(r.lower, layer.Settings{Mtime: tree.Time{Sec: epoch}, Owners: Identity().Many()}); err != nil {
		return err
	}
	if len(l.Entries()) == 0 {
		return w.Print("%s: nothing has changed\n", r.name)
	}
	d, err := s.Add(ctx, l)
	if err != nil {
		return err
	}
	if err := space.Saving(objects.Text(environment.PinOn(&r.pin, d))); err != nil {
		return err
	}
	pin, tag, err := s.AppendTo(ctx, r.name, r.tag, d, r.pin)
	if errors.Is(err, environment.ErrMoved) {
		err = fmt.Errorf("%w: what was written is kept; save it where it belongs (--tag %.12s --save), or discard it (--clean)", err, objects.Text(r.pin))
	}
	if err != nil {
		return explained(err)
	}
	return w.Print("%s: %s is now %s, with %s\n", r.name, tag, short(pin), summary(l))
}

func sortedKeys(m map[objects.Digest][]string) []objects.Digest {
	keys := make([]objects.Digest, 0, len(m))
	for d := range m {
		keys = append(keys, d)
	}
	slices.SortFunc(keys, func(a, b objects.Digest) int { return strings.Compare(objects.Text(a), objects.Text(b)) })
	return keys
}

// empty reports whether a directory is there with nothing in it.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty", line(dir))
	}
	return err
}
