// Package closuretest is a suite for everything that is a closure.Store: what the rest of the program relies on, for sources of any kind. It is for tests.
package closuretest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"imprint/closure"
	"imprint/closure/nar"
	"imprint/internal/tree"
)

// A Kind is a kind of source.
type Kind struct {
	Name    string
	Flavors []closure.Flavor
	// Open makes a source that has just the items, with what is registered about them, which need not be true. What is an error of Open may as well be one of reading.
	Open func(t *testing.T, f closure.Flavor, items []Item) (closure.Store, error)
	// Realise makes items readable; nil if they are.
	Realise func(context.Context, *closure.Closure) error
	// Pass is called before an item is read in the order of its archive, and end after that, with whether it has its hash; nil if nothing need be.
	Pass func(ctx context.Context, item closure.Item) (end func(verified bool) error, err error)

	NoHashes bool // it has no hashes: they are those of the contents
	Dangling bool // it can have items that refer to what it does not have
}

// An Item is an item with its registration.
type Item struct {
	Info *closure.Info
	Node *tree.Node
}

// Run runs the suite.
func Run(t *testing.T, kinds ...Kind) {
	for _, k := range kinds {
		for _, f := range k.Flavors {
			t.Run(k.Name+"/"+f.Name, func(t *testing.T) {
				s := suite{t, k, f}
				t.Run("order", func(t *testing.T) { s.on(t).order() })
				t.Run("self reference", func(t *testing.T) { s.on(t).self() })
				t.Run("missing path", func(t *testing.T) { s.on(t).missing() })
				t.Run("cycle", func(t *testing.T) { s.on(t).cycle() })
				t.Run("corrupt NAR", func(t *testing.T) { s.on(t).corrupt() })
				t.Run("wrong size", func(t *testing.T) { s.on(t).wrongSize() })
				t.Run("other flavor", func(t *testing.T) { s.on(t).otherFlavor() })
			})
		}
	}
}

type suite struct {
	*testing.T
	Kind
	flavor closure.Flavor
}

func (s suite) on(t *testing.T) suite { s.T = t; return s }

// path returns the store path with a name.
func path(t *testing.T, f closure.Flavor, name string) closure.Path {
	t.Helper()
	digits := strings.Repeat(name[:1], 32)
	p, err := f.ParsePath(f.StoreDir + "/" + digits + "-" + name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// item makes an item of several files, one of them executable, with links and an empty directory.
func (s suite) item(name string, references ...string) Item {
	s.Helper()
	p := path(s.T, s.flavor, name)
	attr := closure.CanonicalAttr
	text := strings.Repeat("content of "+name+"\n", 1000)
	node := tree.NewDir(p.Base(), attr(tree.Dir, 0), []*tree.Node{
		tree.NewDir("bin", attr(tree.Dir, 0), []*tree.Node{
			tree.NewFile("run", attr(tree.File, 0o555), tree.Text("#!"+p.String()+"\n")),
			tree.NewSymlink("walk", attr(tree.Symlink, 0), "run"),
		}),
		tree.NewDir("empty", attr(tree.Dir, 0), nil),
		tree.NewFile("file", attr(tree.File, 0o444), tree.Text(text)),
		tree.NewFile("nothing", attr(tree.File, 0o444), tree.Text("")),
	})
	hash, size, err := nar.Hash(node)
	if err != nil {
		s.Fatal(err)
	}
	info := &closure.Info{Path: p, NARHash: hash, NARSize: size}
	for _, r := range references {
		info.References = append(info.References, path(s.T, s.flavor, r))
	}
	slices.SortFunc(info.References, closure.Path.Compare)
	return Item{info, node}
}

// open opens a source, which must succeed.
func (s suite) open(items ...Item) closure.Store {
	s.Helper()
	store, err := s.Open(s.T, s.flavor, items)
	if err != nil {
		s.Fatal(err)
	}
	if c, ok := store.(interface{ Close() error }); ok {
		s.Cleanup(func() { c.Close() })
	}
	return store
}

// compute computes the closure of the last item.
func (s suite) compute(store closure.Store, items []Item) (*closure.Closure, error) {
	return closure.Compute(s.Context(), []closure.Store{store}, []closure.Path{items[len(items)-1].Info.Path})
}

// read makes a closure readable, and returns the first item whose contents are not what is registered.
func (s suite) read(c *closure.Closure) error {
	if s.Realise != nil {
		if err := s.Realise(s.Context(), c); err != nil {
			return err
		}
	}
	for _, item := range c.Items {
		end := func(bool) error { return nil }
		if s.Pass != nil {
			var err error
			if end, err = s.Pass(s.Context(), item); err != nil {
				return err
			}
		}
		err := s.readItem(item)
		if ended := end(err == nil); err == nil {
			err = ended
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readItem compares an item with what is registered.
func (s suite) readItem(item closure.Item) error {
	n, err := item.Store.Item(s.Context(), item.Info.Path)
	if err != nil {
		return err
	}
	hash, size, err := nar.Hash(n)
	switch {
	case err != nil:
		return err
	case n.Name != item.Info.Path.Base():
		return fmt.Errorf("%v has the name %q", item.Info.Path, n.Name)
	case hash != item.Info.NARHash || size != item.Info.NARSize:
		return fmt.Errorf("%v has other contents than are registered", item.Info.Path)
	}
	return nil
}

// Everything comes after what it refers to, in the same order from every source, with the registration that it was given.
func (s suite) order() {
	items := []Item{s.item("d-last"), s.item("b-left", "d-last"), s.item("c-right", "d-last"), s.item("a-top", "b-left", "c-right")}
	store := s.open(append(items, s.item("f-alone"))...)
	for range 2 {
		c, err := s.compute(store, items)
		if err != nil {
			s.Fatal(err)
		}
		if err := s.read(c); err != nil {
			s.Fatal(err)
		}
		if len(c.Items) != len(items) {
			s.Fatalf("%d items", len(c.Items))
		}
		for i, item := range items {
			got := c.Items[i].Info
			if got.Path != item.Info.Path || got.NARHash != item.Info.NARHash || got.NARSize != item.Info.NARSize || !slices.Equal(got.References, item.Info.References) {
				s.Errorf("item %d is %+v, not %+v", i, got, item.Info)
			}
		}
	}
	if text := fmt.Sprint(store); text == "" || strings.Contains(text, "{") {
		s.Errorf("messages call it %q", text)
	}
}

// An item may refer to itself.
func (s suite) self() {
	items := []Item{s.item("a-self", "a-self"), s.item("b-user", "a-self", "b-user")}
	c, err := s.compute(s.open(items...), items)
	if err != nil {
		s.Fatal(err)
	}
	if len(c.Items) != 2 || !slices.Equal(c.Items[1].Info.References, items[1].Info.References) {
		s.Errorf("%+v", c.Items[1].Info)
	}
}

// What a source does not have is an error of its own, with the items that refer to it.
func (s suite) missing() {
	items := []Item{s.item("a-there")}
	store := s.open(items...)
	absent := path(s.T, s.flavor, "c-absent")
	if _, err := store.Info(s.Context(), absent); !errors.Is(err, closure.ErrNotFound) {
		s.Errorf("%v", err)
	}
	var missing *closure.MissingError
	_, err := closure.Compute(s.Context(), []closure.Store{store}, []closure.Path{absent, items[0].Info.Path})
	if !errors.As(err, &missing) || len(missing.Items) != 1 || missing.Items[0].Path != absent {
		s.Errorf("%v", err)
	}
	if !s.Dangling {
		return
	}
	items = []Item{s.item("b-user", "c-absent")}
	_, err = s.compute(s.open(items...), items)
	if !errors.As(err, &missing) || len(missing.Items) != 1 || len(missing.Items[0].Referrers) != 1 || missing.Items[0].Referrers[0] != items[0].Info.Path {
		s.Errorf("%v", err)
	}
}

// Items that refer to each other are refused.
func (s suite) cycle() {
	items := []Item{s.item("a-first", "b-second"), s.item("b-second", "a-first")}
	store, err := s.Open(s.T, s.flavor, items)
	if err == nil {
		_, err = s.compute(store, items)
	}
	var invalid *closure.InvalidError
	if !errors.As(err, &invalid) || !strings.Contains(err.Error(), "cycle of references") {
		s.Errorf("%v", err)
	}
}

// lie checks that a false registration shows before or when the item is read.
func (s suite) lie(item Item) {
	s.Helper()
	if s.NoHashes {
		s.Skip("it has no hashes that could be false")
	}
	items := []Item{s.item("a-good"), item}
	store, err := s.Open(s.T, s.flavor, items)
	if err != nil {
		return
	}
	c, err := s.compute(store, items)
	if err == nil {
		err = s.read(c)
	}
	if err == nil {
		s.Error("nothing shows it")
	} else if ctx := s.Context(); ctx.Err() != nil {
		s.Error(err)
	}
}

func (s suite) corrupt() {
	item := s.item("b-bad", "a-good")
	item.Info.NARHash[7] ^= 1
	s.lie(item)
}

func (s suite) wrongSize() {
	for _, by := range []int64{-8, 8, 1 << 30} {
		item := s.item("b-bad", "a-good")
		item.Info.NARSize += by
		s.lie(item)
	}
}

// A source has items of one flavor, and opening it as one of another is an error or shows nothing.
func (s suite) otherFlavor() {
	store := s.open(s.item("a-there"))
	for _, other := range closure.Flavors() {
		if other.Name == s.flavor.Name {
			continue
		}
		if _, err := store.Info(s.Context(), path(s.T, other, "a-there")); err == nil {
			s.Errorf("it has an item of %s", other.Title)
		}
	}
}
