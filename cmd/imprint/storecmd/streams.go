package storecmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"imprint/closure"
	"imprint/image/source"
	"imprint/image/target"
	"imprint/internal/scratch"

	"github.com/spf13/cobra"
)

func (m *commands) export() *cobra.Command {
	var whole bool
	c := &cobra.Command{
		Use:   "export STORE PATH…",
		Short: "Write items to standard output, as nix-store --export does",
		Long: `export writes the items, without what they refer to, to standard output: the same bytes as those of nix-store --export. With --closure
it writes what they refer to, too.`,
		Example: "  imprint store export --closure / ./result > web.export",
		Args:    m.Arguments(2, -1, "a STORE and PATHs"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := m.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer p.close()
			paths, err := p.roots(args[1:])
			if err != nil {
				return err
			}
			items, err := m.exported(c.Context(), p, paths, whole)
			if err != nil {
				return err
			}
			w := bufio.NewWriterSize(m.Raw, 1<<20)
			_, err = target.Copy(c.Context(), &target.Stream{W: w, Name: "standard output"}, items, m.realiser(c.Context()), nil)
			return errors.Join(err, w.Flush())
		},
	}
	c.Flags().BoolVar(&whole, "closure", false, "write everything that the items refer to, too")
	return c
}

// realiser returns what fetches items from a binary cache.
func (m *commands) realiser(ctx context.Context) func([]closure.Item) error {
	return func(items []closure.Item) error {
		defer m.Clear()
		return source.Realise(ctx, &closure.Closure{Items: items}, func(f *source.Fetch) { m.Watch("fetching", f.Done, f.Total) })
	}
}

// exported returns items in the order in which Nix exports them: that of compute, among those that are exported.
func (m *commands) exported(ctx context.Context, p *place, paths []closure.Path, whole bool) ([]closure.Item, error) {
	if whole {
		return compute(ctx, []*place{p}, paths)
	}
	infos, err := p.about(ctx, paths)
	if err != nil {
		return nil, err
	}
	only := &selection{p.Store, map[closure.Path]*closure.Info{}}
	for _, info := range infos {
		only.infos[info.Path] = info
	}
	c, err := closure.Compute(ctx, []closure.Store{only}, paths)
	if err != nil {
		return nil, of(p.text, err)
	}
	for i := range c.Items {
		c.Items[i].Info, c.Items[i].Store = only.infos[c.Items[i].Info.Path], p.Store
	}
	return c.Items, nil
}

// A selection has some items of a store, and only references among those.
type selection struct {
	closure.Store
	infos map[closure.Path]*closure.Info
}

// Info implements closure.Store.
func (s *selection) Info(_ context.Context, p closure.Path) (*closure.Info, error) {
	with := *s.infos[p]
	with.References = slices.DeleteFunc(slices.Clone(with.References), func(r closure.Path) bool { return s.infos[r] == nil })
	return &with, nil
}

func (m *commands) importing() *cobra.Command {
	o := copying{from: []string{"-"}}
	c := &cobra.Command{
		Use:   "import STORE [FILE]",
		Short: "Add the items of an export stream to a store, as nix-store --import does",
		Long: `import adds the items of a stream in FILE, or on standard input, to a store, and prints their paths, in the order of the stream, as
nix-store --import does. A stream that is damaged adds nothing.`,
		Example: "  imprint store import /mnt < web.export",
		Args:    m.Arguments(1, 2, "a STORE and perhaps a FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			o.to = args[0]
			if len(args) == 2 {
				o.from = []string{"export:" + args[1]}
			}
			p, err := m.open(c.Context(), o.from[0])
			if err != nil {
				return err
			}
			defer p.close()
			infos, err := p.infos(c.Context())
			if err != nil {
				return err
			}
			items, err := m.exported(c.Context(), p, paths(infos), false)
			if err != nil {
				return err
			}
			if err := m.put(c.Context(), o, p.flavor, items, paths(infos)); err != nil {
				return err
			}
			for _, info := range infos {
				if err := m.Print("%v\n", info.Path); err != nil {
					return err
				}
			}
			return nil
		},
	}
	o.flags(c)
	return c
}

// paths returns the paths of items.
func paths(infos []*closure.Info) []closure.Path {
	list := make([]closure.Path, len(infos))
	for i, info := range infos {
		list[i] = info.Path
	}
	return list
}

// openExport opens a stream; "-" is that of standard input.
func (m *commands) openExport(ctx context.Context, file string, f closure.Flavor) (*place, error) {
	keys, err := m.trusted()
	if err != nil {
		return nil, err
	}
	o := source.ExportOptions{File: file, Flavor: f, Scratch: m.Scratch()}
	if f == closure.Guix { // streams of Nix are never signed
		o.Keys = keys
	}
	if file == "-" {
		o.Name = standardInput
		if o.File, err = m.spooled(); err != nil {
			return nil, err
		}
	}
	s, err := source.OpenExport(ctx, o)
	if err != nil {
		return nil, err
	}
	return &place{Store: s, kind: streamKind, list: s}, nil
}

const standardInput = "standard input"

// spooled returns the name of a file that has what is on standard input. It is copied once, to a file without a name that is open until the program ends.
func (m *commands) spooled() (string, error) {
	if m.spool == nil {
		f, err := scratch.File(m.Scratch(), standardInput)
		if err != nil {
			return "", err
		}
		if _, err := io.Copy(f, m.Stdin); err != nil {
			f.Close()
			return "", fmt.Errorf("read %s: %w", standardInput, err)
		}
		m.spool = f
	}
	return fmt.Sprintf("/proc/self/fd/%d", m.spool.Fd()), nil
}
