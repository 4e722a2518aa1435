package closure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// Compute follows the references of the roots. Each item is looked up in the stores in their order. All items that no store has are
// reported at once, in a [*MissingError]. A cycle of references is an error, except that an item may refer to itself.
func Compute(ctx context.Context, stores []Store, roots []Path) (*Closure, error) {
	t := &traversal{stores: stores, state: map[Path]state{}, missing: map[Path][]Path{}}
	roots = slices.Compact(slices.SortedFunc(slices.Values(roots), Path.Compare))
	for _, r := range roots {
		if err := t.walk(ctx, r); err != nil {
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
	state   map[Path]state
	missing map[Path][]Path // referrers, by missing item
	way     []step          // from a root to the current item
	items   []Item
}

// A state is the state of an item in a traversal.
type state byte

const (
	unknown state = iota
	entered       // and not left
	left
	absent // from every store
)

// A step is an item that the traversal has entered, and the number of its references that are done.
type step struct {
	item *Item
	done int
}

// walk follows the references of a root. It does not recurse, since a chain of references may be as long as a store is large.
func (t *traversal) walk(ctx context.Context, root Path) error {
	if err := t.visit(ctx, root); err != nil {
		return err
	}
	for len(t.way) > 0 {
		at := &t.way[len(t.way)-1]
		if references := at.item.Info.References; at.done < len(references) {
			at.done++
			if err := t.visit(ctx, references[at.done-1]); err != nil {
				return err
			}
			continue
		}
		t.state[at.item.Info.Path] = left
		t.items = append(t.items, *at.item)
		t.way = t.way[:len(t.way)-1]
	}
	return nil
}

// visit enters an item that is new.
func (t *traversal) visit(ctx context.Context, p Path) error {
	switch t.state[p] {
	case left:
		return nil
	case absent:
		t.miss(p)
		return nil
	case entered:
		if t.current() == p { // its reference to itself
			return nil
		}
		return t.cycle(p)
	}
	if len(t.state) == maxItems {
		return invalid("compute closure: more than %d items", maxItems)
	}
	item, err := t.lookUp(ctx, p)
	switch {
	case errors.Is(err, ErrNotFound):
		t.state[p] = absent
		t.miss(p)
		return nil
	case err != nil:
		return err
	}
	t.state[p] = entered
	t.way = append(t.way, step{item, 0})
	return nil
}

// current returns the item whose references are visited.
func (t *traversal) current() Path { return t.way[len(t.way)-1].item.Info.Path }

// lookUp returns the item and the first store that has it; the error wraps ErrNotFound if none does.
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

// miss records a missing item with the item that refers to it; a root has none.
func (t *traversal) miss(p Path) {
	from := t.missing[p]
	if len(t.way) > 0 {
		from = append(from, t.current())
	}
	t.missing[p] = from
}

// cycle names a few items of a cycle, which may be long.
func (t *traversal) cycle(p Path) error {
	const shown = 10
	names := []string{}
	for _, s := range t.way[slices.IndexFunc(t.way, func(s step) bool { return s.item.Info.Path == p }):] {
		names = append(names, s.item.Info.Path.String())
	}
	if more := len(names) - shown; more > 0 {
		names = append(names[:shown], fmt.Sprintf("%d more", more))
	}
	return invalid("compute closure: cycle of references: %s -> %s", strings.Join(names, " -> "), p)
}
