// Package resolve turns a description into a plan. It is the stage that reads the world. It writes nothing but what compressed archives
// unpack to, in a directory that the caller chooses ([Inputs.Scratch]): files without names, which nobody else can see or has to remove; and
// what it fetches from caches, in the build store ([Inputs.BuildStore]). There every content has its digest as its name, so what is there already
// changes no plan, only how long it takes. The layers of steps are made there as well (package realise).
//
// It goes in steps, each a function from values to a value: the host files and trees that the description names, hashed
// (package host); the closures, with the trees of all items (package closures); the trees that the description states (package trees); the boot
// files in them; the identity of the image, a digest of all that (package identity), from which every identifier derives; the boot loader's files,
// which contain such identifiers; and last the complete tree of every partition.
//
// Store items are pinned by their registered NAR hash, so most of their contents need not be read here. Host files are read,
// since the identity depends on their contents, and pinned: when they are written, they must still be the same.
package resolve

import (
	"context"
	"encoding/hex"
	"slices"
	"sync"

	"imprint/closure"
	"imprint/closure/outline"
	"imprint/image/base"
	"imprint/image/closures"
	"imprint/image/description"
	"imprint/image/earlier"
	"imprint/image/host"
	"imprint/image/input"
	"imprint/image/plan"
	"imprint/image/realise"
	"imprint/image/source"
	"imprint/image/trees"
	"imprint/internal/diag"
	"imprint/internal/remote"
	"imprint/internal/repro"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

// Inputs is what a plan depends on besides the description and the files it names.
type Inputs struct {
	Dir      string   // base of the description's relative paths
	Epoch    *int64   // SOURCE_DATE_EPOCH, seconds since 1970; nil if unset
	Unique   string   // seed of this build's identifiers with unique = true
	OutDir   string   // directory of the image and of host tools' scratch files; "" to write none
	Scratch  string   // directory for what compressed archives unpack to, in files without names; "" refuses such archives
	HostDirs []string // searched for loader files that no closure has; nil means /usr

	BuildStore string             // directory that keeps what is fetched, and layers; "" refuses both
	Streams    bool               // every item will be verified as it is written, so that listings of caches may be believed until then
	NoKeep     bool               // what is streamed from servers is not kept there
	NotKept    func(error)        // is called when something cannot be kept there, perhaps while the image is written; may be nil
	Fetching   func(*Fetch)       // is called before items are fetched; may be nil
	Getting    func(*input.Fetch) // is called before an input is fetched; may be nil
	Basing     func(*base.Fetch)  // is called before the layers of a base are fetched; may be nil
	Docker     string             // directory with the configuration of docker login; "" for none
	Gateway    string             // URL of a gateway to IPFS; "" for none
	Env        []string           // variables for git-annex, "NAME=value"
	Steps      realise.Options

	Remote Remote // how stores on other machines are read
	// SealLater leaves hash trees to those who write the disk: see [plan.Plan.Seal]. Otherwise what they cover is read, except what a host tool
	// makes.
	SealLater bool

	// Hold is called with what ends the hold on store items, which no garbage collection takes until then; call it when the plan is no longer used. With a
	// nil Hold items are not held, and are read at once.
	Hold func(release func())

	// Outlines are of items whose contents were verified before: those of a store on this machine are not walked again. With hard-link = true they
	// are of no use.
	Outlines *outline.Set

	// Stable leaves room for changes, and keeps what has not changed where an earlier image has it, with the same identifiers: see package earlier.
	Stable  bool
	Earlier *earlier.Image // nil for the first image

	// Backwards takes the names of directories in reverse order. It makes no difference to a plan, and is for those who check that.
	Backwards bool
}

// A Fetch is what is fetched from a source.
type Fetch = source.Fetch

// Remote sets how sources on other machines are read.
type Remote = remote.Options

// Plan turns a description into a plan: it reads the registrations of the source stores, lists the trees of all items, hashes
// the host files that the description names, and chooses every identifier and time.
//
// The error is a [diag.List] of all user errors found in a step, or an error of the world, such as a broken disk.
func Plan(ctx context.Context, d *description.Image, in Inputs) (*plan.Plan, error) {
	d = d.WithDefaults()
	flavor, err := closure.FlavorNamed(d.Store.Flavor.V)
	if err != nil {
		return nil, diag.List{d.Store.Flavor.Key.ProblemOf(err)}
	}
	w := world{whole: ctx, d: d, in: in, flavor: flavor, epoch: epoch(d, in), warnings: &warnings{}}
	if d.HasVerity() {
		w.sealing = &sealing{late: map[string]bool{}, hosts: host.Inputs{}, items: map[int]*tree.Node{}}
	}
	if err := w.find(ctx); err != nil {
		return nil, err
	}
	hosts, store, err := w.read(ctx)
	if err != nil {
		return nil, err
	}
	steps, err := w.steps(ctx, hosts, in.Steps)
	if err != nil {
		return nil, err
	}
	r := &resolved{world: w, hosts: hosts, store: store}
	if d.HasVerity() {
		r.keep()
	}
	stated, problems := w.described(hosts, store)
	boot, err := w.boot(ctx, hosts, store, stated, problems)
	if err != nil {
		return nil, err
	}
	r.boot = boot
	p, err := r.complete(ctx, stated)
	if err != nil {
		return nil, err
	}
	w.checkFATTypes(p)
	w.checkGrow()
	w.checkEntries(p, store, boot)
	p.Warnings, p.Steps = w.warnings.sorted(), steps
	p.Inputs, p.Bases = w.inputs(), w.listed()
	if d.HasVerity() {
		return r.sealed(ctx, p)
	}
	return p, nil
}

// A resolved description has everything that a plan is made of.
type resolved struct {
	world
	hosts host.Inputs
	store *closures.Union
	boot  *boot
}

// complete chooses the identifiers, and makes the boot loader's files and the trees, which contain them.
func (r *resolved) complete(ctx context.Context, stated []*trees.Tree) (*plan.Plan, error) {
	p, err := r.identify(r.hosts, r.store, r.boot)
	if err != nil {
		return nil, err
	}
	if r.sealing != nil {
		r.put(p)
	}
	files, err := r.install(ctx, p, r.hosts, r.store, r.boot)
	if err != nil {
		return nil, err
	}
	if r.sealing != nil && r.sealing.roots == nil {
		r.sealing.files = files
	}
	return p, r.fill(ctx, p, r.hosts, r.store, stated, r.boot, files)
}

// A world is what every step may use: the description with its defaults, and the inputs that it does not state.
type world struct {
	whole  context.Context // of the plan, and of what is read later
	d      *description.Image
	in     Inputs
	flavor closure.Flavor
	epoch  int64 // seconds since 1970
	files  map[string]*input.File
	bases  map[diag.Key]*base.Base

	warnings *warnings
	sealing  *sealing // nil without hash trees
}

// warnings collects what is valid but probably a mistake. Steps may run in parallel.
type warnings struct {
	mu   sync.Mutex
	list diag.List
}

// warn adds a warning at a key.
func (w world) warn(key diag.Key, text, hint string) {
	w.warnings.mu.Lock()
	defer w.warnings.mu.Unlock()
	w.warnings.list = append(w.warnings.list, key.Problem(text, hint))
}

// sorted returns the warnings in the order of the description.
func (w *warnings) sorted() diag.List {
	list, _ := w.list.Err().(diag.List)
	return slices.Clone(list)
}

// find finds the inputs and the bases.
func (w *world) find(ctx context.Context) (err error) {
	var problems, more diag.List
	w.files, problems, err = input.Find(ctx, w.d, input.Options{
		Dir: w.in.Dir, Keep: w.in.BuildStore, Gateway: w.in.Gateway, Env: w.in.Env, Fetching: w.in.Getting, Warn: w.warn,
	})
	if err != nil {
		return err
	}
	w.bases, more, err = base.Find(ctx, w.d, base.Options{
		Dir: w.in.Dir, Keep: w.in.BuildStore, Scratch: w.in.Scratch, Docker: w.in.Docker, Fetching: w.in.Basing,
	})
	if err != nil {
		return err
	}
	return append(problems, more...).Err()
}

// inputs lists the inputs that were found, for the manifest.
func (w world) inputs() (list []plan.Input) {
	for _, in := range w.d.Input.Items {
		if f := w.files[in.Name.V]; f != nil {
			list = append(list, plan.Input{Name: f.Name, SHA256: hex.EncodeToString(f.SHA256[:]), Size: f.Blob.Size(), From: f.From, Kept: f.Kept})
		}
	}
	return list
}

// listed lists the bases, for the manifest.
func (w world) listed() (list []plan.Base) {
	for _, p := range w.d.Partition.Items {
		for _, l := range p.Layer.Items {
			if b := w.bases[l.Key]; b != nil {
				c := b.Config
				one := plan.Base{Partition: p.Name.V, From: b.From.String(), Layers: len(b.Layers), Env: c.Env, User: c.User, WorkingDir: c.WorkingDir}
				if c.Platform.OS != "" {
					one.Platform = c.Platform.String()
				}
				list = append(list, one)
			}
		}
	}
	return list
}

// read reads what the description names: host files and stores, in parallel.
func (w world) read(ctx context.Context) (hosts host.Inputs, s *closures.Union, err error) {
	group, ctx := errgroup.WithContext(ctx)
	var problems, found diag.List
	group.Go(func() (err error) { hosts, problems, err = w.host().All(ctx, w.d); return err })
	group.Go(func() (err error) { s, found, err = w.closures(ctx); return err })
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	return hosts, s, append(problems, found...).Err()
}

// closures finds the items of the closures.
func (w world) closures(ctx context.Context) (*closures.Union, diag.List, error) {
	inputs := map[string]string{}
	for name, f := range w.files {
		inputs[name] = tree.HostPath(f.Blob)
	}
	return closures.Find(ctx, w.d, closures.Options{
		Inputs: inputs,
		Dir:    w.in.Dir, OutDir: w.in.OutDir, Scratch: w.in.Scratch, BuildStore: w.in.BuildStore, Flavor: w.flavor, Epoch: w.epoch,
		Remote: w.in.Remote, Backwards: w.in.Backwards, Whole: w.whole, Streams: w.in.Streams, NoKeep: w.in.NoKeep, NotKept: w.in.NotKept, Fetching: w.in.Fetching, Hold: w.in.Hold,
		Outlines: w.in.Outlines,
	})
}

// steps makes the layers of steps.
func (w world) steps(ctx context.Context, hosts host.Inputs, o realise.Options) ([]plan.Step, error) {
	if o.Hold == nil {
		o.Hold = w.in.Hold
	}
	return realise.Stage{Options: o, Description: w.d, Hosts: hosts, BuildStore: w.in.BuildStore, Epoch: w.epoch}.Steps(ctx)
}

// host returns the reader of what the description names on the host.
func (w world) host() host.Reader {
	return host.Reader{
		Dir: w.in.Dir, OutDir: w.in.OutDir, Scratch: w.in.Scratch, Epoch: w.epoch, Flavor: w.flavor, Backwards: w.in.Backwards, Warn: w.warn,
		BuildStore: w.in.BuildStore, Files: w.files, Bases: w.bases,
	}
}

// epoch returns the time of everything but store items: the description's, SOURCE_DATE_EPOCH, or a fixed one.
func epoch(d *description.Image, in Inputs) int64 {
	switch {
	case d.Epoch.Written():
		return d.Epoch.V
	case in.Epoch != nil:
		return *in.Epoch
	}
	return repro.DefaultEpoch
}

// path returns a path of the description as a path on the host.
func (w world) path(p string) string { return host.Join(w.in.Dir, p) }
