package write

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"imprint/closure"
	"imprint/container"
	"imprint/image/plan"
	"imprint/internal/pax"
	"imprint/internal/stream"
	"imprint/internal/tree"
)

// mostLayers is the number of layers of a container image: engines that stack them as overlays take few more than a hundred.
const mostLayers = 100

// whiteout begins the name of a file that removes another one in a lower layer (OCI image-spec, layer.md).
const whiteout = ".wh."

// layersOf lays out the files of a region as layers: those store items alone that are large and that many others refer to, the other items
// together, and everything else on top. A layer with one item depends on that item only, whatever else is in the image.
func layersOf(p *plan.Plan, r *plan.Region) (*pax.Layout, []container.Layer, error) {
	for path, n := range r.Tree.Walk() {
		if strings.HasPrefix(n.Name, whiteout) {
			return nil, nil, fmt.Errorf("%s would remove a file of a lower layer", tree.Shown(path))
		}
	}
	alone, together := divide(p, r.Partition.Items, mostLayers-2)
	var parts [][]pax.Span
	var layers []container.Layer
	for _, item := range alone {
		parts = append(parts, []pax.Span{spanOf(item)})
		layers = append(layers, container.Layer{Comment: item.Info.Path.String()})
	}
	if len(together) > 0 {
		parts = append(parts, spansOf(together))
		layers = append(layers, container.Layer{Comment: "other store items"})
	}
	parts = append(parts, without(r.Tree, spansOf(r.Partition.Items)))
	layers = append(layers, container.Layer{})
	l, err := pax.New(r.Tree, pax.Options{Parts: parts, Align: stream.PieceSize})
	if err != nil {
		return nil, nil, err
	}
	for i, part := range l.Parts() {
		layers[i].Off, layers[i].Size = part.Off, part.Size
	}
	return l, layers, nil
}

// divide returns up to most items that deserve a layer of their own, and the others, both in the order of the plan. What counts is the size, times
// the number of items that refer to an item: those are what images have in common.
func divide(p *plan.Plan, items []*plan.Item, most int) (alone, together []*plan.Item) {
	uses := map[closure.Path]int64{}
	for _, item := range p.Items {
		for _, ref := range item.Info.References {
			uses[ref]++
		}
	}
	weight := func(item *plan.Item) int64 { return item.Info.NARSize * (1 + uses[item.Info.Path]) }
	byWeight := slices.Clone(items)
	slices.SortStableFunc(byWeight, func(a, b *plan.Item) int {
		return cmp.Or(cmp.Compare(weight(b), weight(a)), cmp.Compare(a.Info.Path.String(), b.Info.Path.String()))
	})
	chosen := map[*plan.Item]bool{}
	for _, item := range byWeight[:min(most, len(byWeight))] {
		chosen[item] = true
	}
	for _, item := range items {
		if chosen[item] {
			alone = append(alone, item)
		} else {
			together = append(together, item)
		}
	}
	return alone, together
}

func spanOf(item *plan.Item) pax.Span { return pax.Span{First: item.Node.ID(), End: end(item.Node)} }

// spansOf returns the nodes of items in the order of the tree.
func spansOf(items []*plan.Item) (list []pax.Span) {
	for _, item := range items {
		list = append(list, spanOf(item))
	}
	slices.SortFunc(list, func(a, b pax.Span) int { return cmp.Compare(a.First, b.First) })
	return list
}

// without returns the nodes of a tree that are in none of the given spans.
func without(t *tree.Tree, spans []pax.Span) (list []pax.Span) {
	at := 0
	for _, s := range append(spans, pax.Span{First: t.Len(), End: t.Len()}) {
		if at < s.First {
			list = append(list, pax.Span{First: at, End: s.First})
		}
		at = s.End
	}
	return list
}
