package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"imprint/closure"
	"imprint/image/description"
	"imprint/image/host"
	"imprint/image/plan"
	"imprint/image/source"
	"imprint/internal/diag"
	"imprint/internal/hosttree"
	"imprint/internal/pattern"
	"imprint/internal/processors"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

// A store is the union of all closures of a description: each item once, with its content.
type store struct {
	closures []*plan.Closure // in the order of the description
	items    []*plan.Item    // references first
	database []byte          // SQLite database that registers all items
	walker   closure.Walker  // over all items
}

// roots returns the roots of the named closure.
func (s *store) roots(name string) []closure.Path {
	for _, c := range s.closures {
		if c.Name == name {
			return c.Roots
		}
	}
	return nil
}

// closureReference resolves a substitution that names a root; "" for others. Without an index it is the only root, or the
// current generation of a profile.
func (s *store) closureReference(ref description.Reference) string {
	roots := s.roots(ref.Name)
	switch {
	case ref.Kind != "closure" || ref.Index >= len(roots):
		return ""
	case !ref.Indexed:
		return roots[len(roots)-1].String()
	}
	return roots[ref.Index].String()
}

// stores finds the roots of all closures, computes the closures, and lists the content of every item.
func (w world) stores(ctx context.Context) (*store, diag.List, error) {
	s := &store{walker: closure.Walker{Flavor: w.flavor, Nodes: map[closure.Path]*tree.Node{}}}
	if len(w.d.Closure.Items) == 0 {
		return s, nil, nil
	}
	all, problems, err := w.closures(ctx, s)
	if len(problems) > 0 || err != nil {
		return nil, problems, err
	}
	problems, err = w.list(ctx, s, all)
	return s, problems, err
}

// closures computes the closures. Sources are open only for that long, since open databases hold locks.
func (w world) closures(ctx context.Context, s *store) (*closure.Closure, diag.List, error) {
	sources := &sources{world: w}
	defer sources.close()
	if err := sources.open(ctx); len(sources.problems) > 0 || err != nil {
		return nil, sources.problems, err
	}
	all, err := sources.compute(ctx, s)
	if err == nil && len(sources.problems) == 0 {
		err = sources.secure(ctx, all)
	}
	return all, sources.problems, err
}

// secure keeps items from garbage collections, and fetches those that cannot be read where they are.
func (s *sources) secure(ctx context.Context, all *closure.Closure) error {
	if s.in.Hold != nil {
		release, err := source.Hold(ctx, all)
		if err != nil {
			return err
		}
		s.in.Hold(release)
	}
	return s.blameSource(source.Realise(ctx, all, s.in.Fetching))
}

// sources are the stores from which items come, in the order of search.
type sources struct {
	world
	stores   []closure.Store
	places   []place // of each store
	problems diag.List
}

// A place is where a source is: a directory, or an image.
type place struct {
	key    diag.Key
	prefix string             // of store paths on the host
	image  *closure.TreeStore // nil for a directory
	held   bool               // closed when the plan is no longer used
}

// open opens every [[source]].
func (s *sources) open(ctx context.Context) error {
	read := s.reader()
	for _, d := range s.d.Source.Items {
		if d.Own().Written() {
			if err := s.openOwn(ctx, d); err != nil {
				return err
			}
			continue
		}
		prefix := s.path(d.Path.V)
		var opened closure.Store
		var err error
		key := d.Path.Key
		if d.Registration.V != "" {
			key = d.Registration.Key
			opened, err = closure.OpenRegistration(ctx, prefix, s.path(d.Registration.V), s.flavor, read)
		} else {
			opened, err = s.openLocal(ctx, prefix, read)
		}
		if err != nil {
			if err = s.refuse(key, err); err != nil {
				return err
			}
			continue
		}
		s.add(opened, place{key: d.Path.Key, prefix: prefix})
	}
	return nil
}

// reader returns what reads items of this machine.
func (w world) reader() closure.ReadFunc {
	canonical := func(h hosttree.Host) *tree.Attr { return closure.CanonicalAttr(h.Kind, h.Mode) }
	return (&hosttree.Scanner{Attr: canonical, FilesOnly: true, Backwards: w.in.Backwards}).Read
}

// openLocal opens a store with a database on this machine. If there is only one of another flavor, the error is a [diag.Mistake].
func (s *sources) openLocal(ctx context.Context, prefix string, read closure.ReadFunc) (closure.Store, error) {
	opened, err := closure.OpenLocal(ctx, prefix, s.flavor, read)
	if err == nil {
		return opened, nil
	}
	if other, ok := s.flavor.OtherAt(prefix); ok && errors.Is(err, fs.ErrNotExist) {
		return nil, diag.Mistake{Text: err.Error(), Hint: ofFlavor(other)}
	}
	return nil, err
}

// ofFlavor is the hint where there is only a store of another flavor.
func ofFlavor(other closure.Flavor) string {
	return fmt.Sprintf("there is a store of %s: flavor = %q in [store]", other.Title, other.Name)
}

func (s *sources) add(opened closure.Store, p place) {
	s.stores, s.places = append(s.stores, opened), append(s.places, p)
}

// refuse turns an error of opening a source into a problem at the key, if the user can fix it: the key names no store, or a
// damaged one. It returns errors of the world, such as a broken disk or a locked database. Errors in a registration file have
// positions of their own.
func (s *sources) refuse(key diag.Key, err error) error {
	var list diag.List
	var invalid *closure.InvalidError
	var mistake diag.Mistake
	switch {
	case errors.As(err, &list):
		s.problems = append(s.problems, list...)
	case errors.As(err, &mistake):
		s.problems = append(s.problems, key.ProblemOf(err))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		hint := "a source needs the store's database below its path, or a registration file"
		if key.Line == 0 {
			hint = "there is no [[source]], so items are looked for in the host's own store; with one, in another store or a directory with a registration file"
		}
		s.problems = append(s.problems, key.Problem(err.Error(), hint))
	case errors.As(err, &invalid), isBadName(err):
		s.problems = append(s.problems, key.ProblemOf(err))
	default:
		return err
	}
	return nil
}

// isBadName reports whether a file could not be opened because it is the wrong one.
func isBadName(err error) bool {
	return slices.ContainsFunc([]error{fs.ErrPermission, syscall.EISDIR, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.ENXIO},
		func(known error) bool { return errors.Is(err, known) })
}

func (s *sources) close() {
	for i, opened := range s.stores {
		if s.places[i].held {
			continue
		}
		if c, ok := opened.(interface{ Close() error }); ok {
			c.Close()
		}
	}
}

// compute finds the roots of every [[closure]], and computes all closures together, so that shared items are read once.
func (s *sources) compute(ctx context.Context, into *store) (*closure.Closure, error) {
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
		into.closures = append(into.closures, c)
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

// refuseOutput refuses to write the image into one of its own items. Elsewhere in a store it may lie: that is where a Nix build has its output.
func (s *sources) refuseOutput(all *closure.Closure) {
	if s.in.OutDir == "" {
		return
	}
	for _, p := range s.places {
		for _, item := range all.Items {
			path := p.prefix + item.Info.Path.String()
			if p.image == nil && strings.Contains(s.in.OutDir, item.Info.Path.Base()) { // the second only saves time
				s.problems = append(s.problems, host.CheckOutput(p.key, path, s.in.OutDir, pattern.Set{})...)
			}
		}
	}
}

// blame turns errors of closures into problems: at the root if that is missing, else at the closures. It returns errors of the
// world.
func (s *sources) blame(err error, keys map[closure.Path]diag.Key) error {
	var missing *closure.MissingError
	var invalid *closure.InvalidError
	switch {
	case errors.As(err, &invalid):
		s.problems = append(s.problems, s.d.Closure.Key.ProblemOf(err))
		return nil
	case !errors.As(err, &missing):
		return s.blameSource(err)
	}
	others := 0
	for _, m := range missing.Items {
		key, isRoot := keys[m.Path]
		if !isRoot {
			key = s.d.Closure.Key
			others++
		}
		if isRoot || others <= closure.MostReported {
			one := closure.MissingError{Items: []closure.MissingItem{m}, Stores: missing.Stores}
			s.problems = append(s.problems, key.ProblemOf(&one))
		}
	}
	if more := others - closure.MostReported; more > 0 {
		s.problems = append(s.problems, s.d.Closure.Key.Problem(fmt.Sprintf("%d more items that they refer to are not valid in any source", more), ""))
	}
	return nil
}

// root returns the item of a root: a store path, or a symlink on the host or in a source.
func (s *sources) root(text string) (closure.Path, error) {
	if !strings.HasPrefix(text, s.flavor.StoreDir+"/") {
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
	return s.flavor.ResolveRoot(text, p.prefix)
}

// known returns the tree of an item of a store on this machine, as [closure.Unify] makes it, if its outline is known; else nil.
func (w world) known(found closure.Item) *tree.Node {
	s, here := found.Store.(interface{ HostPath(closure.Path) string })
	if !here || w.d.Store.HardLink.V {
		return nil
	}
	n := w.in.Outlines.Item(found.Info.NARHash, s.HostPath(found.Info.Path), closure.CanonicalAttr)
	if n != nil {
		n.Name = found.Info.Path.Base()
	}
	return n
}

// list reads the tree of every item, while it makes the database.
func (w world) list(ctx context.Context, s *store, all *closure.Closure) (diag.List, error) {
	var gone unreadable
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8 * processors.Count())
	group.Go(func() (err error) {
		rows := make([]closure.TargetItem, len(all.Items))
		for i, found := range all.Items {
			rows[i].Info = found.Info
		}
		s.database, err = closure.Database(w.flavor, rows, w.epoch)
		return err
	})
	for _, found := range all.Items {
		item := &plan.Item{Info: found.Info}
		s.items = append(s.items, item)
		group.Go(func() (err error) {
			if item.Node = w.known(found); item.Node != nil {
				return nil
			}
			if item.Node, err = found.Store.Item(ctx, found.Info.Path); err != nil {
				return gone.add(found.Info.Path, err)
			}
			below := int64(closure.AnySize)
			if w.d.Store.HardLink.V {
				below = w.flavor.LinkMinSize // larger files are linked later, with those of the whole store
			}
			if err = closure.Unify(ctx, item.Node, below); err != nil {
				return closure.Reading(found.Info.Path, err)
			}
			if c, ok := found.Store.(*source.Cache); ok {
				item.Stream = c.Stream(found.Info.Path)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, item := range s.items {
		s.walker.Nodes[item.Info.Path] = item.Node
	}
	return gone.problems(w.d.Closure.Key, w.flavor, all.Items), nil
}
