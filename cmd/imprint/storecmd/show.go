package storecmd

import (
	"context"
	"fmt"
	"strings"

	"imprint/closure"
	"imprint/closure/nar"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

func (m *commands) info() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "info STORE [PATH…]",
		Short: "Show what a store is and has, or what is registered about items",
		Long: `info shows the kind of a store, the number of its items and the size of their NARs in bytes. Given PATHs, it shows what is registered
about each.`,
		Example: "  imprint store info /\n  imprint store info old.raw /nix/var/nix/profiles/system",
		Args:    m.Arguments(1, -1, "a STORE and perhaps PATHs"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := m.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer p.close()
			if len(args) == 1 {
				return m.summary(c.Context(), p, asJSON)
			}
			paths, err := p.roots(args[1:])
			if err != nil {
				return err
			}
			infos, err := p.about(c.Context(), paths)
			if err != nil {
				return err
			}
			return m.details(infos, asJSON)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// jsonFlag adds the flag of commands that print a document.
func jsonFlag(c *cobra.Command, asJSON *bool) {
	c.Flags().BoolVar(asJSON, "json", false, "print a JSON document")
}

// A summary is what info says about a store.
type summary struct {
	Store    string `json:"store"`
	Kind     string `json:"kind"`
	Flavor   string `json:"flavor"`
	StoreDir string `json:"storeDir"`
	Items    *int   `json:"items,omitempty"` // nil if the store does not say it
	NARSize  *int64 `json:"narSize,omitempty"`
}

func (m *commands) summary(ctx context.Context, p *place, asJSON bool) error {
	s := summary{Store: fmt.Sprint(p.Store), Kind: p.kind, Flavor: p.flavor.Name, StoreDir: p.flavor.StoreDir}
	if p.list != nil {
		infos, err := p.infos(ctx)
		if err != nil {
			return err
		}
		n, size := len(infos), int64(0)
		for _, info := range infos {
			size += info.NARSize
		}
		s.Items, s.NARSize = &n, &size
	}
	if asJSON {
		return m.Document(s)
	}
	text := fmt.Sprintf("store   %s\nkind    %s, %s\n", s.Store, s.Kind, p.flavor.Title)
	if s.Items != nil {
		text += fmt.Sprintf("items   %d\nsize    %d (%s)\n", *s.Items, *s.NARSize, units.FormatBytes(*s.NARSize))
	}
	return m.Print("%s", text)
}

// A detail is what info says about an item.
type detail struct {
	Path       closure.Path   `json:"path"`
	NARHash    string         `json:"narHash"`
	NARSize    int64          `json:"narSize"`
	References []closure.Path `json:"references"`
	Deriver    string         `json:"deriver,omitempty"`
	CA         string         `json:"ca,omitempty"`
	Signatures []string       `json:"signatures,omitempty"`
}

func (m *commands) details(infos []*closure.Info, asJSON bool) error {
	list := make([]detail, len(infos))
	for i, info := range infos {
		list[i] = detailOf(info)
	}
	if asJSON {
		return m.Document(list)
	}
	var b strings.Builder
	for i, d := range list {
		if i > 0 {
			b.WriteString("\n")
		}
		d.write(&b)
	}
	return m.Print("%s", b.String())
}

func detailOf(info *closure.Info) detail {
	return detail{
		Path: info.Path, NARHash: "sha256:" + nar.EncodeBase32(info.NARHash[:]), NARSize: info.NARSize,
		References: append([]closure.Path{}, info.References...), Deriver: info.Deriver, CA: info.CA, Signatures: info.Sigs,
	}
}

func (d detail) write(b *strings.Builder) {
	fmt.Fprintf(b, "path        %v\nhash        %s\nsize        %d\n", d.Path, d.NARHash, d.NARSize)
	for _, r := range d.References {
		fmt.Fprintf(b, "reference   %v\n", r)
	}
	if d.Deriver != "" {
		fmt.Fprintf(b, "deriver     %s\n", d.Deriver)
	}
	if d.CA != "" {
		fmt.Fprintf(b, "address     %s\n", d.CA)
	}
	for _, s := range d.Signatures {
		fmt.Fprintf(b, "signature   %s\n", s)
	}
}

func (m *commands) closure() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "closure STORE ROOT…",
		Short: "List everything that items refer to",
		Long: `closure lists the ROOTs and everything that they refer to, directly or not, each after what it refers to: what
nix-store --query --requisites prints. With --json it is a list of what is registered about each.`,
		Example: "  imprint store closure / ./result\n  imprint store closure https://cache.example.org /nix/store/…-web",
		Args:    m.Arguments(2, -1, "a STORE and ROOTs"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := m.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer p.close()
			roots, err := p.roots(args[1:])
			if err != nil {
				return err
			}
			items, err := compute(c.Context(), []*place{p}, roots)
			if err != nil {
				return err
			}
			return m.members(items, asJSON)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// members prints a closure.
func (m *commands) members(items []closure.Item, asJSON bool) error {
	if asJSON {
		list := make([]detail, len(items))
		for i, item := range items {
			list[i] = detailOf(item.Info)
		}
		return m.Document(list)
	}
	var b strings.Builder
	for _, item := range items {
		fmt.Fprintln(&b, item.Info.Path)
	}
	return m.Print("%s", b.String())
}
