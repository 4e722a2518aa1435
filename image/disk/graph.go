package disk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"imprint/bootloader/menu"
	"imprint/closure"
	"imprint/internal/chain"
	"imprint/internal/diag"
	"imprint/internal/tree"
)

// A Named is the tree of a region and the name of that.
type Named struct {
	Region string
	Tree   *tree.Tree
}

// Trees returns the trees of all regions that can be read.
func (d *Disk) Trees() (list []Named) {
	for _, r := range d.Regions {
		if r.Volume != nil {
			list = append(list, Named{r.String(), r.Volume.Tree})
		}
	}
	return list
}

// Graph returns the references of all items in the stores of some trees, and what needs them: GC roots, and the entries of boot menus,
// which name items.
func Graph(ctx context.Context, trees []Named) (*chain.Graph, error) {
	g := &chain.Graph{References: map[string][]string{}}
	for _, t := range trees {
		if err := t.addStores(ctx, g); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Region, err)
		}
	}
	for _, t := range trees {
		g.Roots = append(g.Roots, t.BootEntries(g)...)
	}
	return g, nil
}

// addStores adds the items and the GC roots of the tree's stores to a graph.
func (t Named) addStores(ctx context.Context, g *chain.Graph) error {
	stores, err := closure.OpenTrees(ctx, t.Tree)
	for _, store := range stores {
		one, failed := store.Graph(ctx)
		if store.Close(); failed != nil {
			err = errors.Join(err, fmt.Errorf("store database: %w", failed))
			continue
		}
		maps.Copy(g.References, one.References)
		g.Roots = append(g.Roots, one.Roots...)
	}
	return err
}

// BootEntries returns the items of a graph that the entries of boot menus in the tree name, in kernels, initrds, device trees and command lines.
func (t Named) BootEntries(g *chain.Graph) (roots []chain.Root) {
	entries, _ := menu.Read(t.Tree)
	seen := map[chain.Root]bool{}
	for _, e := range entries {
		name := fmt.Sprintf("boot entry in %s:%s", t.Region, e.File)
		if e.Title != "" {
			name = fmt.Sprintf("boot entry %.100q in %s:%s", e.Title, t.Region, e.File)
		}
		words := append([]string{e.Kernel, e.DeviceTree, e.Cmdline}, e.Initrd...)
		for _, p := range closure.Mentions(strings.Join(words, " ")) {
			root := chain.Root{Name: name, Node: p.String()}
			if _, ok := g.References[root.Node]; ok && !seen[root] {
				seen[root], roots = true, append(roots, root)
			}
		}
	}
	return roots
}

// mostMatches is how many items an error about an ambiguous one lists.
const mostMatches = 10

// FindItem returns the item of a graph that a text names: a store path or a path inside of one, the base name of one, its name without the
// digits, or the beginning of any of these, if there is only one. The error is a [diag.Mistake].
func FindItem(g *chain.Graph, text string) (string, error) {
	for _, f := range closure.Flavors() {
		if below, ok := strings.CutPrefix(text, f.StoreDir+"/"); ok {
			text, _, _ = strings.Cut(below, "/")
		}
	}
	var exact, begin, bases []string
	for _, item := range slices.Sorted(maps.Keys(g.References)) {
		base := path.Base(item)
		_, name, _ := strings.Cut(base, "-")
		switch {
		case base == text || name == text:
			exact = append(exact, item)
		case strings.HasPrefix(base, text) || strings.HasPrefix(name, text):
			begin = append(begin, item)
		}
		bases = append(bases, name)
	}
	if len(exact) == 0 {
		exact = begin
	}
	switch {
	case len(exact) == 1:
		return exact[0], nil
	case len(bases) == 0:
		return "", diag.Mistake{Text: "there is no store that imprint can read"}
	case len(exact) == 0:
		hint := ""
		if near := diag.Nearest(text, bases); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return "", diag.Mistake{Text: fmt.Sprintf("no store item is named %.300q", text), Hint: hint}
	}
	hint := strings.Join(exact[:min(mostMatches, len(exact))], "\n")
	return "", diag.Mistake{Text: fmt.Sprintf("%.300q names %d store items", text, len(exact)), Hint: "write more of one of them:\n" + hint}
}
