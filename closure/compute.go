package closure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// A Closure is a set of store items with everything that they refer to, directly or not.
type Closure struct {
	Roots []Path // sorted, each once
	Items []Item // each after everything it refers to; the order depends on the items alone, not on the stores
}

// An Item is a store item and the store that has it.
type Item struct {
	Info  *Info
	Store Store
}

// Read reads the content of all items, with the given number of workers, and returns it in the order of Items.
func (c *Closure) Read(ctx context.Context, workers int) ([]TargetItem, error) {
	read := make([]TargetItem, len(c.Items))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, workers))
	for i, item := range c.Items {
		g.Go(func() error {
			n, err := item.Store.Item(ctx, item.Info.Path)
			read[i] = TargetItem{item.Info, n}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return read, nil
}

// Compute follows the references of the roots. Each item is looked up in the stores in their order. All items that no store has are
// reported at once, in a [*MissingError]. A cycle of references is an error, except that an item may refer to itself.
func Compute(ctx context.Context, stores []Store, roots []Path) (*Closure, error) {
	t := &traversal{stores: stores, found: map[Path]*Item{}, missing: map[Path][]Path{}}
	roots = slices.Compact(slices.SortedFunc(slices.Values(roots), Path.Compare))
	for _, r := range roots {
		if err := t.visit(ctx, r); err != nil {
			return nil, err
		}
	}
	if len(t.missing) > 0 {
		return nil, t.missingError()
	}
	return &Closure{Roots: roots, Items: t.items}, nil
}

// A traversal walks the graph of references depth first, and appends an item when it leaves it.
type traversal struct {
	stores  []Store
	found   map[Path]*Item // nil for items that the traversal has entered and not left
	missing map[Path][]Path
	way     []Path // from a root to the current item
	items   []Item
}

// visit adds an item after everything it refers to, unless it has been visited. Missing items are recorded, so that the traversal goes on and
// finds all of them.
func (t *traversal) visit(ctx context.Context, p Path) error {
	if item, seen := t.found[p]; seen {
		if item == nil {
			return t.cycle(p)
		}
		return nil
	}
	if _, missing := t.missing[p]; missing {
		t.miss(p)
		return nil
	}
	item, err := t.lookUp(ctx, p)
	if errors.Is(err, ErrNotFound) {
		t.miss(p)
		return nil
	}
	if err != nil {
		return err
	}
	return t.descend(ctx, item)
}

// descend visits the references of an item and then appends the item. References are sorted, so the order of items depends on their paths alone.
func (t *traversal) descend(ctx context.Context, item *Item) error {
	p := item.Info.Path
	t.found[p] = nil
	t.way = append(t.way, p)
	for _, r := range item.Info.References {
		if r == p {
			continue
		}
		if err := t.visit(ctx, r); err != nil {
			return err
		}
	}
	t.way = t.way[:len(t.way)-1]
	t.found[p] = item
	t.items = append(t.items, *item)
	return nil
}

// lookUp returns an error that wraps ErrNotFound when no store has the item.
func (t *traversal) lookUp(ctx context.Context, p Path) (*Item, error) {
	for _, s := range t.stores {
		info, err := s.Info(ctx, p)
		if err == nil {
			return &Item{info, s}, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	return nil, ErrNotFound
}

// miss records a missing item with the item that the traversal came from; a root has none.
func (t *traversal) miss(p Path) {
	from := t.missing[p]
	if len(t.way) > 0 {
		from = append(from, t.way[len(t.way)-1])
	}
	t.missing[p] = from
}

// cycle is the error for an item that the traversal reaches again below itself. It names the items in the cycle.
func (t *traversal) cycle(p Path) error {
	var names strings.Builder
	for _, q := range t.way[slices.Index(t.way, p):] {
		names.WriteString(q.String() + " -> ")
	}
	return fmt.Errorf("compute closure: cycle of references: %s%s", &names, p)
}
