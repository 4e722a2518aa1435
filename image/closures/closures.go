// Package closures finds the store items of a description: it opens each [[source]], whatever it is (a directory, an image, a binary cache, a
// daemon, an export stream), finds the roots in them, computes the closures, keeps their items from garbage collection, and lists the tree of every
// item. It is a part of the stage resolve.
//
// What a user can mend is a problem at the key of the source or of the root that causes it, and all of them are reported at once; other errors,
// such as that of a broken disk, are returned as they are.
package closures

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"imprint/closure"
	"imprint/closure/outline"
	"imprint/image/description"
	"imprint/image/host"
	"imprint/image/plan"
	"imprint/image/source"
	"imprint/internal/diag"
	"imprint/internal/processors"
	"imprint/internal/remote"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

// Options say where the closures of a description are found.
type Options struct {
	Dir        string            // base of the description's relative paths
	OutDir     string            // directory of the image, which may be in no item of it; "" if none is written
	Scratch    string            // directory for files without names
	Inputs     map[string]string // paths of files on this machine for which ${input.NAME} stands, by their names
	BuildStore string            // directory that keeps what is fetched; "" refuses to fetch
	Flavor     closure.Flavor    // of the store in the image
	Epoch      int64             // of the database, seconds since 1970
	Remote     remote.Options    // how binary caches are read
	Streams    bool              // items are verified as they are written: those of caches with listings need not be fetched before
	NoKeep     bool              // what is streamed from servers is not kept there
	Backwards  bool              // names of directories are read in reverse order, which makes no difference
	Outlines   *outline.Set      // of items that were verified before: those of a store on this machine are not walked again

	Whole    context.Context      // of what is read from caches after Find
	Fetching func(*source.Fetch)  // is called before items are fetched; may be nil
	NotKept  func(error)          // is called when something cannot be kept, perhaps after Find; may be nil
	Hold     func(release func()) // is called with what ends the hold on the items; nil to hold none
}

// A finder finds the closures of one description.
type finder struct {
	Options
	d *description.Image // with its defaults
}

// path returns a path of the description as a path on the host.
func (f finder) path(p string) string { return host.Join(f.Dir, p) }

// Find finds the roots of all closures, computes the closures, and lists the content of every item.
func Find(ctx context.Context, d *description.Image, o Options) (*Union, diag.List, error) {
	f := finder{o, d}
	u := &Union{Walker: closure.Walker{Flavor: f.Flavor, Nodes: map[closure.Path]*tree.Node{}}}
	if len(d.Closure.Items) == 0 {
		return u, nil, nil
	}
	all, problems, err := f.compute(ctx, u)
	if len(problems) > 0 || err != nil {
		return nil, problems, err
	}
	problems, err = f.list(ctx, u, all)
	return u, problems, err
}

// compute computes the closures. Sources are open only for that long, since open databases hold locks.
func (f finder) compute(ctx context.Context, into *Union) (*closure.Closure, diag.List, error) {
	sources := &sources{finder: f}
	defer sources.close()
	if err := sources.open(ctx); len(sources.problems) > 0 || err != nil {
		return nil, sources.problems, err
	}
	all, err := sources.compute(ctx, into)
	if err == nil && len(sources.problems) == 0 {
		err = sources.secure(ctx, all)
	}
	return all, sources.problems, err
}

// secure keeps items from garbage collections, and fetches those that cannot be read where they are.
func (s *sources) secure(ctx context.Context, all *closure.Closure) error {
	if s.Hold != nil {
		release, err := source.Hold(ctx, all)
		if err != nil {
			return err
		}
		s.Hold(release)
	}
	return s.blameSource(source.Realise(ctx, all, s.Fetching))
}

// compute finds the roots of every [[closure]], and computes all closures together, so that shared items are read once.
func (s *sources) compute(ctx context.Context, into *Union) (*closure.Closure, error) {
	var all []closure.Path
	keys := map[closure.Path]diag.Key{}
	for _, d := range s.d.Closure.Items {
		c := &plan.Closure{Name: d.Name.V, Profile: d.Profile.V}
		for _, text := range d.Roots.Items {
			root, err := s.root(text.V)
			if err != nil {
				s.problems = append(s.problems, text.Key.ProblemOf(err))
				continue
			}
			keys[root] = text.Key
			c.Roots, all = append(c.Roots, root), append(all, root)
		}
		into.Closures = append(into.Closures, c)
	}
	if len(s.problems) > 0 {
		return nil, nil
	}
	source.Ahead(ctx, s.stores, all)
	result, err := closure.Compute(ctx, s.stores, all)
	if err == nil {
		s.refuseOutput(result)
	}
	return result, s.blame(err, keys)
}

// root returns the item of a root: a store path, or a symlink on the host or in a source.
func (s *sources) root(text string) (closure.Path, error) {
	if !strings.HasPrefix(text, s.Flavor.StoreDir+"/") {
		text = s.path(text)
	}
	var first error
	for _, p := range s.places {
		root, err := s.rootIn(p, text)
		if err == nil {
			return root, nil
		}
		first = cmp.Or(first, err)
	}
	return closure.Path{}, first
}

// rootIn returns the item of a root in one source. A path that an image does not have is one of the host, such as "./result".
func (s *sources) rootIn(p place, text string) (closure.Path, error) {
	if p.image != nil {
		if root, ok, err := p.image.ResolveRoot(text); ok || err != nil {
			return root, err
		}
	}
	return s.Flavor.ResolveRoot(text, p.prefix)
}

// list reads the tree of every item, while it makes the database.
func (f finder) list(ctx context.Context, into *Union, all *closure.Closure) (diag.List, error) {
	var gone unreadable
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8 * processors.Count())
	group.Go(func() (err error) {
		rows := make([]closure.TargetItem, len(all.Items))
		for i, found := range all.Items {
			rows[i].Info = found.Info
		}
		into.Database, err = closure.Database(f.Flavor, rows, f.Epoch)
		return err
	})
	for _, found := range all.Items {
		into.Items = append(into.Items, &plan.Item{Info: found.Info})
	}
	for _, i := range largestFirst(all.Items) {
		found, item := all.Items[i], into.Items[i]
		group.Go(func() (err error) {
			if item.Node = f.known(found); item.Node != nil {
				return nil
			}
			if item.Node, err = found.Store.Item(ctx, found.Info.Path); err != nil {
				return gone.add(found.Info.Path, err)
			}
			return f.unify(ctx, item, found.Store)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, item := range into.Items {
		into.Walker.Nodes[item.Info.Path] = item.Node
	}
	return gone.problems(f.d.Closure.Key, f.Flavor, all.Items), nil
}

// largestFirst returns the indices of items in the order in which they are best read, so that no large one runs alone at the end.
func largestFirst(items []closure.Item) []int {
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(items[b].Info.NARSize, items[a].Info.NARSize) })
	return order
}

// known returns the tree of an item, with equal files linked, if it is in a store on this machine and has an outline; else nil.
func (f finder) known(found closure.Item) *tree.Node {
	s, here := found.Store.(interface{ HostPath(closure.Path) string })
	if !here || f.d.Store.HardLink.V {
		return nil
	}
	n := f.Outlines.Item(found.Info.NARHash, s.HostPath(found.Info.Path), closure.CanonicalAttr)
	if n != nil {
		n.Name = found.Info.Path.Base()
	}
	return n
}

// unify links equal files of an item, and finds out how it is written. Files of a cache are compared before the item has been verified, which happens
// when it is written.
func (f finder) unify(ctx context.Context, item *plan.Item, from closure.Store) error {
	if c, ok := from.(*source.Cache); ok {
		if stream := c.Stream(item.Info.Path); stream != nil {
			item.Stream, item.Distant = stream, stream.Distant()
			return f.unifyStream(ctx, item, stream)
		}
	}
	if err := closure.Unify(ctx, item.Node, f.linked(), nil); err != nil {
		return closure.Reading(item.Info.Path, err)
	}
	return nil
}

func (f finder) unifyStream(ctx context.Context, item *plan.Item, stream *source.Stream) error {
	if !closure.Compares(item.Node, f.linked()) {
		return closure.Unify(ctx, item.Node, f.linked(), nil)
	}
	end, err := stream.Compare(ctx)
	if err == nil {
		err = closure.Unify(ctx, item.Node, f.linked(), stream.Again)
		end()
	}
	if err != nil {
		return closure.Reading(item.Info.Path, err)
	}
	return nil
}

// linked returns the size from which on equal files are linked later, with those of the whole store.
func (f finder) linked() int64 {
	if f.d.Store.HardLink.V {
		return f.Flavor.LinkMinSize
	}
	return closure.AnySize
}
