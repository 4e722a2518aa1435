package storecmd

import (
	"context"
	"fmt"
	"strings"

	"imprint/closure"
	"imprint/image/source"
	"imprint/image/target"
	"imprint/internal/diag"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

// A copying is a call of copy, or of a command that copies too.
type copying struct {
	from        []string
	to          string
	compression string
	key         string
	listings    bool
	noSync      bool
	root        string // name of a GC root; "" for none
}

func (c *copying) flags(to *cobra.Command) {
	to.Flags().StringVar(&c.compression, "compression", target.Compressions()[0], "`how` the archives of a binary cache are compressed: "+strings.Join(target.Compressions(), ", "))
	to.Flags().StringVar(&c.key, "sign-key", "", "sign the items of a binary cache with the secret key in this `file`")
	to.Flags().BoolVar(&c.listings, "listings", false, "write a listing of each archive of a binary cache, from which images can be built without storing the archive first")
	to.Flags().StringVar(&c.root, "gc-root", "", "keep the ROOT in a store directory by a GC root with this `name`")
	to.Flags().BoolVar(&c.noSync, "no-sync", false, "register items without waiting until they are on the disk")
}

func (m *commands) copy() *cobra.Command {
	var o copying
	c := &cobra.Command{
		Use:   "copy --from STORE --to STORE ROOT…",
		Short: "Copy items with everything that they refer to from one store to another",
		Long: `copy copies the ROOTs and everything that they refer to, as far as the target lacks it, several items at a time, and registers them:
what an item refers to comes first, so that the target is complete at every moment. The NAR hash of every item is compared with the
registered one. A copy that was interrupted or killed is continued by the next one, which also removes what it has left half done.
Several --from are searched in their order. Other programs may use both stores at the same time.

A directory that is no store becomes one. Items there have the metadata that Nix and Guix give them, and belong to the user. They are
registered at SOURCE_DATE_EPOCH, or 1. Without --gc-root, the next garbage collection there takes them.`,
		Example: `  imprint store copy --from / --to /mnt ./result
  imprint store copy --from web.raw:root --to export:web.export /nix/var/nix/profiles/system
  imprint store copy --from / --to file:///srv/cache --sign-key secret-key ./result
  imprint store copy --from / --to 's3://nix-cache/web?region=eu-west-1' --sign-key secret-key ./result`,
		Args: m.Arguments(1, -1, "ROOTs"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(o.from) == 0 || o.to == "" {
				return m.Usage(fmt.Errorf("%s takes --from STORE and --to STORE", c.CommandPath()))
			}
			_, err := m.runCopy(c.Context(), o, args)
			return err
		},
	}
	c.Flags().StringArrayVar(&o.from, "from", nil, "the `store` to copy from")
	c.Flags().StringVar(&o.to, "to", "", "the `store` to copy to")
	o.flags(c)
	return c
}

func (m *commands) realise() *cobra.Command {
	var o copying
	c := &cobra.Command{
		Use:   "realise DIR ROOT… [--from STORE]…",
		Short: "Make items valid in a store, and print their paths",
		Long: `realise makes the ROOTs valid in a store: those that are not are copied, with everything that they refer to, from the first of the
other stores that has them. It prints their store paths. Nothing is built.`,
		Example: "  imprint store realise /mnt --from / --from https://cache.example.org /nix/store/…-web",
		Args:    m.Arguments(2, -1, "a STORE and ROOTs"),
		RunE: func(c *cobra.Command, args []string) error {
			o.to = args[0]
			target, err := m.open(c.Context(), o.to)
			switch {
			case err == nil: // what is there need not be in another store
				target.close()
				o.from = append([]string{o.to}, o.from...)
			case len(o.from) == 0 && strings.Contains(o.to, "://"):
				return err
			case len(o.from) == 0:
				return m.Usage(fmt.Errorf("%s is no store yet, so --from STORE is needed", o.to))
			}
			roots, err := m.runCopy(c.Context(), o, args[1:])
			for _, p := range roots {
				if err == nil {
					err = m.Print("%v\n", p)
				}
			}
			return err
		},
	}
	c.Flags().StringArrayVar(&o.from, "from", nil, "a `store` to copy from; several are searched in their order")
	o.flags(c)
	return c
}

// runCopy copies the closure of some roots, and returns them.
func (m *commands) runCopy(ctx context.Context, o copying, texts []string) ([]closure.Path, error) {
	from, err := m.openAll(ctx, o.from)
	defer func() {
		for _, p := range from {
			p.close()
		}
	}()
	if err != nil {
		return nil, err
	}
	roots, err := rootsIn(from, texts)
	if err != nil {
		return nil, err
	}
	items, err := compute(ctx, from, roots)
	if err != nil {
		return nil, err
	}
	return roots, m.put(ctx, o, from[0].flavor, items, roots)
}

// openAll opens several stores of one flavor.
func (m *commands) openAll(ctx context.Context, texts []string) (list []*place, err error) {
	for _, text := range texts {
		p, err := m.open(ctx, text)
		if err != nil {
			return list, err
		}
		list = append(list, p)
		if f := list[0].flavor; p.flavor.Name != f.Name {
			return list, diag.List{{Position: diag.Position{File: text}, Text: fmt.Sprintf("is a store of %s, and %s is one of %s", p.flavor.Title, texts[0], f.Title)}}
		}
	}
	return list, nil
}

// rootsIn returns the items that the user names, by the first store in which a name leads to one.
func rootsIn(from []*place, texts []string) ([]closure.Path, error) {
	roots := make([]closure.Path, len(texts))
	for i, text := range texts {
		var first error
		for _, p := range from {
			root, err := p.root(text)
			if err == nil {
				roots[i], first = root, nil
				break
			}
			if first == nil {
				first = err
			}
		}
		if first != nil {
			return nil, first
		}
	}
	return roots, nil
}

// compute returns the items of a closure, each after what it refers to, in the order of Nix (topoSortPaths in misc.cc): depth first from each item of the
// closure, by name.
func compute(ctx context.Context, from []*place, roots []closure.Path) ([]closure.Item, error) {
	var stores []closure.Store
	for _, p := range from {
		stores = append(stores, p.Store)
	}
	source.Ahead(ctx, stores, roots)
	c, err := closure.Compute(ctx, stores, roots)
	if err != nil {
		return nil, of(from[0].text, err)
	}
	all := make([]closure.Path, len(c.Items))
	for i, item := range c.Items {
		all[i] = item.Info.Path
	}
	if c, err = closure.Compute(ctx, stores, all); err != nil {
		return nil, of(from[0].text, err)
	}
	return c.Items, nil
}

// put copies items to the target of a call, and says what it did.
func (m *commands) put(ctx context.Context, o copying, f closure.Flavor, items []closure.Item, roots []closure.Path) error {
	if o.root != "" && len(roots) != 1 {
		return m.Usage(fmt.Errorf("--gc-root is for one ROOT, and there are %d", len(roots)))
	}
	to, err := m.openTarget(ctx, o, f)
	if err != nil {
		return err
	}
	root, err := to.rooted(o.root)
	if err != nil {
		return m.Usage(to.close(err))
	}
	release := func() {}
	copied, err := target.Copy(ctx, to, items, func(list []closure.Item) (err error) {
		if release, err = source.Hold(ctx, &closure.Closure{Items: list}); err != nil {
			return err
		}
		return m.realiser(ctx)(list)
	}, func(p *target.Progress) { m.Watch("copying", p.Done, p.Total) })
	m.Clear()
	if release != nil {
		release()
	}
	if err == nil && o.root != "" {
		err = root(ctx, roots[0])
	}
	if err = to.close(err); err != nil {
		return of(to.String(), err)
	}
	var size int64
	for _, item := range copied {
		size += item.Info.NARSize
	}
	_, err = fmt.Fprintf(m.Stderr, "%s: copied %s (%s), %d were there\n", to, units.Count(len(copied), "item"), units.FormatBytes(size), len(items)-len(copied))
	return err
}
