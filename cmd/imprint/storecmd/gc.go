package storecmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"imprint/image/garbage"
	"imprint/internal/diag"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

func (m *commands) roots() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "roots STORE",
		Short: "List the GC roots of a store directory or an image",
		Long: `roots lists the GC roots of a store directory and the items that they lead to, as nix-store --gc --print-roots does, but does not search
the files and environments of running programs. Of an image it lists all links in its directories of GC roots and profiles that lead to
an item.`,
		Example: "  imprint store roots /mnt",
		Args:    m.Arguments(1, 1, "a STORE"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := m.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer p.close()
			list, err := p.gcRoots(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return m.Document(append([]garbage.Root{}, list...))
			}
			var b strings.Builder
			for _, r := range list {
				fmt.Fprintf(&b, "%s -> %v\n", visible.Line(r.Link), r.Item)
			}
			return m.Print("%s", b.String())
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// gcRoots returns the roots of a store directory or an image.
func (p *place) gcRoots(ctx context.Context) ([]garbage.Root, error) {
	if p.image == nil {
		s, err := p.directory(ctx)
		if err != nil {
			return nil, err
		}
		return s.Roots()
	}
	var list []garbage.Root
	for _, r := range p.image.Roots() {
		if r.Err == nil {
			list = append(list, garbage.Root{Link: r.At, Item: r.Item})
		}
	}
	return list, nil
}

// directory returns a store directory with all that is registered in it.
func (p *place) directory(ctx context.Context) (*garbage.Store, error) {
	if p.kind != directoryKind {
		return nil, diag.List{{Position: diag.Position{File: p.text}, Text: "is no store directory, and has no GC roots"}}
	}
	infos, err := p.infos(ctx)
	return &garbage.Store{Flavor: p.flavor, Prefix: p.prefix, Infos: infos}, err
}

func (m *commands) gc() *cobra.Command {
	var dry, asJSON bool
	c := &cobra.Command{
		Use:   "gc --dry-run DIR",
		Short: "List what a garbage collection would remove",
		Long: `gc lists the paths in a store directory that no GC root keeps, as nix-store --gc --print-dead does. It removes nothing, and so takes
--dry-run: Nix and Guix collect garbage. An item keeps what it refers to, and the derivation that has made it. In the store of this machine,
the files and environments of running programs keep items as well, which is not seen here.`,
		Example: "  imprint store gc --dry-run /mnt",
		Args:    m.Arguments(1, 1, "a DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			if !dry {
				return m.Usage(errors.New("gc only lists what a collection would remove: add --dry-run; nix-store --gc or guix gc collect garbage"))
			}
			p, err := m.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer p.close()
			s, err := p.directory(c.Context())
			if err != nil {
				return err
			}
			dead, err := s.Dead()
			if err != nil {
				return err
			}
			if asJSON {
				return m.Document(append([]string{}, dead...))
			}
			var b strings.Builder
			for _, path := range dead {
				fmt.Fprintln(&b, visible.Line(path))
			}
			return m.Print("%s", b.String())
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "list what would be removed")
	jsonFlag(c, &asJSON)
	return c
}
