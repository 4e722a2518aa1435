package imagecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"imprint/image/disk"
	"imprint/internal/chain"
	"imprint/internal/diag"
	"imprint/internal/tree"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

// mostChains is the number of chains that --all prints.
const mostChains = 1000

func (w World) why() *cobra.Command {
	var all, asJSON bool
	c := &cobra.Command{
		Use:   "why IMAGE|DESCRIPTION ITEM",
		Short: "Show why a store item is in an image",
		Long: `why prints the shortest chain of references from a GC root, a profile or a boot entry to a store item: in an image, or in the one
that a description (a file that ends in .toml) describes. ITEM is a store path, a path inside of one, the name of an item,
or the beginning of a name.`,
		Example: "  imprint why web.raw glibc\n  imprint why --all image.toml openssl-3",
		Args:    w.Exactly(2, "an IMAGE or a DESCRIPTION, and an ITEM"),
		RunE: func(c *cobra.Command, args []string) error {
			g, err := w.graph(c.Context(), args[0])
			if err != nil {
				return err
			}
			*w.JSON = asJSON // the stages of resolving are not part of the document
			item, err := disk.FindItem(g, args[1])
			var mistake diag.Mistake
			if errors.As(err, &mistake) {
				return diag.List{{Position: diag.Position{File: args[0]}, Text: mistake.Text, Hint: mistake.Hint, World: true}}
			}
			if err != nil {
				return err
			}
			return w.runWhy(g, item, all)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "print a chain from every root that needs the item")
	w.Describes(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the chains as a JSON document")
	return c
}

// graph returns the references and roots of an image, or of one that a description describes.
func (w World) graph(ctx context.Context, name string) (*chain.Graph, error) {
	if filepath.Ext(name) != ".toml" {
		d, f, err := w.open(ctx, name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return disk.Graph(ctx, d.Trees())
	}
	defer w.Clear()
	description, err := w.Parse(ctx, name)
	if err != nil {
		return nil, err
	}
	_, layout, err := w.Resolve(ctx, name, description, "")
	if err != nil {
		return nil, err
	}
	var trees []disk.Named
	for _, region := range layout.Regions {
		if region.Tree != nil {
			trees = append(trees, disk.Named{Region: fmt.Sprintf("%q", region.Partition.Spec.Name), Tree: region.Tree})
		}
	}
	return disk.Graph(ctx, trees)
}

// runWhy prints the shortest chain to an item, or one from each root.
func (w World) runWhy(g *chain.Graph, item string, all bool) error {
	most := 1
	if all {
		most = mostChains
	}
	chains, more := g.All(item, most)
	if *w.JSON {
		return w.document(map[string]any{"item": item, "because": append([]chain.Chain{}, chains...), "more": more})
	}
	if len(chains) == 0 {
		_, err := fmt.Fprintf(w.Stdout, "%s: no GC root and no boot entry needs it\n", item)
		return err
	}
	var b strings.Builder
	for _, c := range chains {
		fmt.Fprintf(&b, "%s\n", tree.Shown(c.Root))
		for i, n := range c.Nodes {
			fmt.Fprintf(&b, "%s-> %s\n", strings.Repeat("  ", min(i, 20)), n)
		}
	}
	if all && more > 0 {
		fmt.Fprintf(&b, "and %s more\n", units.Count(more, "root"))
	}
	_, err := io.WriteString(w.Stdout, b.String())
	return err
}
