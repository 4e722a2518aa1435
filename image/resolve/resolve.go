// Package resolve makes a description into a plan. It is the stage that reads the world, and it writes nothing.
//
// It goes in steps, each a function from values to a value: the host files and trees that the description names, hashed; the stores'
// registrations and the trees of all items; the boot files among them; then the image's identity, a digest of all of that, from which
// every identifier derives; the boot loader's files, which hold such identifiers; and last the tree of every partition.
//
// Store items are pinned by the NAR hash that they are registered with, and their contents are not read here. Host files are read, since
// the identity depends on what they hold, and pinned: when they are written they must hold the same.
package resolve

import (
	"context"
	"path/filepath"
	"sync"

	"imprint/closure"
	"imprint/image/description"
	"imprint/image/plan"
	"imprint/internal/diag"
	"imprint/internal/repro"

	"golang.org/x/sync/errgroup"
)

// Inputs is what a plan depends on besides the description and what that names.
type Inputs struct {
	Dir      string   // what relative paths of the description are relative to
	Epoch    *int64   // SOURCE_DATE_EPOCH, when it is set: seconds since 1970
	Unique   string   // what makes this build's identifiers differ from others', for unique = true
	OutDir   string   // where the image will be, and scratch files of host tools; "" when there will be none
	HostDirs []string // where a loader's files are looked for that no closure holds; nil means /usr
}

// Plan makes a description into a plan: it reads the source stores' registrations, lists the trees of all items, hashes the host files
// that the description names, and chooses every identifier and time. It writes nothing.
//
// The user's mistakes come as a [diag.List], all that were found in a step; other errors are the world's.
func Plan(ctx context.Context, d *description.Image, in Inputs) (*plan.Plan, error) {
	d = d.WithDefaults()
	flavor, err := closure.FlavorNamed(d.Store.Flavor.V)
	if err != nil {
		return nil, diag.List{d.Store.Flavor.Key.ProblemOf(err)}
	}
	w := world{d: d, in: in, flavor: flavor, epoch: epoch(d, in), warnings: &warnings{}}
	hosts, store, err := w.read(ctx)
	if err != nil {
		return nil, err
	}
	boot, err := w.boot(ctx, hosts, store)
	if err != nil {
		return nil, err
	}
	p, err := w.identify(hosts, store, boot)
	if err != nil {
		return nil, err
	}
	files, err := w.install(ctx, p, hosts, store, boot)
	if err != nil {
		return nil, err
	}
	if err = w.fill(ctx, p, hosts, store, boot, files); err == nil {
		w.checkFATTypes(p)
		w.checkEntries(p, store)
	}
	p.Warnings = w.warnings.sorted()
	return p, err
}

// A world is what every step may look at: the description with its defaults, and what that does not say.
type world struct {
	d      *description.Image
	in     Inputs
	flavor closure.Flavor
	epoch  int64 // seconds since 1970

	warnings *warnings
}

// warnings are what steps have noticed that may not be meant, though it is possible. Steps may run side by side.
type warnings struct {
	mu   sync.Mutex
	list diag.List
}

// warn notes that what a key says may not be meant.
func (w world) warn(key diag.Key, text, hint string) {
	w.warnings.mu.Lock()
	defer w.warnings.mu.Unlock()
	w.warnings.list = append(w.warnings.list, key.Problem(text, hint))
}

// sorted returns the warnings in the order of the description.
func (w *warnings) sorted() diag.List {
	list, _ := w.list.Err().(diag.List)
	return list
}

// read reads what the description names: host files and stores side by side.
func (w world) read(ctx context.Context) (hosts, *store, error) {
	h, s := newHostReader(w), &store{}
	group, ctx := errgroup.WithContext(ctx)
	var found diag.List
	group.Go(func() error { return h.all(ctx) })
	group.Go(func() (err error) { s, found, err = w.stores(ctx); return err })
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	return h.hosts, s, append(h.problems, found...).Err()
}

// epoch is the time of everything but store items: the description's, else SOURCE_DATE_EPOCH, else a fixed one.
func epoch(d *description.Image, in Inputs) int64 {
	switch {
	case d.Epoch.Written():
		return d.Epoch.V
	case in.Epoch != nil:
		return *in.Epoch
	}
	return repro.DefaultEpoch
}

// path makes a path of the description one of the host.
func (w world) path(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(w.in.Dir, p)
}
