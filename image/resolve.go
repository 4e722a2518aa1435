package image

import (
	"context"
	"fmt"
	"path/filepath"

	"imprint/bootloader"
	"imprint/closure"
	"imprint/internal/diag"
	"imprint/internal/hosttree"
	"imprint/internal/processors"
	"imprint/internal/repro"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

// Inputs is what a plan depends on besides the description and what that names.
type Inputs struct {
	Dir      string   // what relative paths of the description are relative to
	Epoch    *int64   // SOURCE_DATE_EPOCH, when it is set: seconds since 1970
	Unique   string   // what makes this build's identifiers differ from others', for unique = true
	OutDir   string   // where the image will be, and scratch files of host tools; "" when there will be none
	HostDirs []string // where an EFI loader is looked for that no closure holds; nil means /usr
}

// Resolve makes a description into a plan: it reads the source stores' registrations, lists the trees of all items, hashes the host
// files that the description names, and chooses every identifier and time. It writes nothing.
//
// The user's mistakes come as a diag.List, all that were found; other errors are the world's.
func Resolve(ctx context.Context, d *Description, in Inputs) (*Plan, error) {
	d = withDefaults(*d)
	flavor, err := closure.FlavorNamed(d.Store.Flavor)
	if err != nil {
		return nil, err
	}
	r := &resolver{d: d, in: in, flavor: flavor, bootNames: map[string]bootloader.Source{}, items: map[closure.Path]*Item{}, hosts: map[string]*hostInput{}}
	r.plan = &Plan{
		Name: d.Name, Arch: d.Arch, Format: d.Format, Table: d.Table, SectorSize: d.SectorSize, Epoch: epoch(d, in), Loader: d.Boot.Loader,
		pins: map[tree.Blob]pin{}, place: d.Place,
	}
	for _, stage := range []func(context.Context) error{r.readInputs, r.boot, r.identify, r.fill} {
		if err := stage(ctx); err != nil {
			return nil, err
		}
		if err := r.problems.Err(); err != nil {
			return nil, err
		}
	}
	return r.plan, nil
}

// resolver gathers what Resolve finds.
type resolver struct {
	d        *Description
	in       Inputs
	plan     *Plan
	problems diag.List

	flavor  closure.Flavor
	items   map[closure.Path]*Item
	store   []byte                    // the database that registers all of them
	roots   map[string][]closure.Path // by closure name
	hosts   map[string]*hostInput     // by key: the host files and trees that the description names
	entries []bootEntry

	bootNames map[string]bootloader.Source // by name in lower case
	inputs    map[string]tree.Blob         // what the loader is made of, by path below a store item or the host's /usr
}

func (r *resolver) problem(key, text, hint string) {
	r.problems = append(r.problems, r.d.Problem(key, text, hint))
}

// epoch is the time of everything but store items: the description's, else SOURCE_DATE_EPOCH, else a fixed one.
func epoch(d *Description, in Inputs) int64 {
	switch {
	case d.Epoch != nil:
		return *d.Epoch
	case in.Epoch != nil:
		return *in.Epoch
	}
	return repro.DefaultEpoch
}

// path makes a path of the description one of the host.
func (r *resolver) path(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(r.in.Dir, p)
}

// readInputs reads what the description names: stores and host files side by side.
func (r *resolver) readInputs(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	var store, host diag.List
	group.Go(func() (err error) { store, err = r.readClosures(ctx); return err })
	group.Go(func() (err error) { host, err = r.readHostInputs(ctx); return err })
	err := group.Wait()
	r.problems = append(append(r.problems, store...), host...)
	return err
}

// readClosures finds the roots, computes what they need, and lists the content of every item.
func (r *resolver) readClosures(ctx context.Context) (diag.List, error) {
	if len(r.d.Closure) == 0 {
		return nil, nil
	}
	s, err := openSources(ctx, r)
	defer s.close()
	if err != nil || len(s.problems) > 0 {
		return s.problems, err
	}
	all := s.closures(ctx)
	if len(s.problems) > 0 {
		return s.problems, nil
	}
	return r.list(ctx, all)
}

// list reads the tree of every item, and makes the database meanwhile.
func (r *resolver) list(ctx context.Context, all *closure.Closure) (diag.List, error) {
	var gone unreadable
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8 * processors.Count())
	group.Go(func() (err error) {
		rows := make([]closure.TargetItem, len(all.Items))
		for i, found := range all.Items {
			rows[i].Info = found.Info
		}
		r.store, err = closure.Database(rows, r.plan.Epoch)
		return err
	})
	for _, found := range all.Items {
		item := &Item{Info: found.Info}
		r.items[found.Info.Path] = item
		r.plan.Items = append(r.plan.Items, item)
		group.Go(func() (err error) {
			if item.Node, err = found.Store.Item(ctx, found.Info.Path); err != nil {
				return gone.add(all, found.Info.Path, err)
			}
			if r.d.Store.HardLink {
				return nil // which takes in what Unify does
			}
			if err = closure.Unify(ctx, item.Node); err != nil {
				return fmt.Errorf("%v: %w", found.Info.Path, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return gone.problems(r.d), nil
}

// scanner reads host trees that the description names: permission bits are the host's, owner and time are not.
func (r *resolver) scanner() *hosttree.Scanner {
	shared := &attrTable{}
	return &hosttree.Scanner{Special: true, Attr: func(h hosttree.Host) *tree.Attr {
		mode := h.Mode
		if h.Kind == tree.Symlink {
			mode = 0o777
		}
		return shared.attr(tree.Attr{Mode: mode, Mtime: tree.Time{Sec: r.plan.Epoch}})
	}}
}

func (r *resolver) entryKey(i int) string { return fmt.Sprintf("boot.entry[%d]", i) }
