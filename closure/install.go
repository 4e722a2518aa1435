package closure

import (
	"cmp"
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"imprint/closure/db"
	"imprint/internal/tree"
)

// A Target is the store inside an image.
type Target struct {
	Flavor   Flavor
	Items    []TargetItem // each after everything it refers to, as [Compute] orders them: the database keeps this order
	Roots    []GCRoot
	Profiles []Profile
	Epoch    int64  // seconds since 1970: the mtime of everything outside of items, and the registration time, at least 1
	HardLink bool   // hard-link equal files, as the store's optimiser does
	Database []byte // the result of [Database] for Flavor, Items and Epoch; if nil, Install makes it
	Workers  int    // files hashed at a time for HardLink
	Mount    string // where the tree is mounted: "", or the flavor's Top, which the paths in the tree then do not begin with
}

// A TargetItem is an item with its content, in canonical form.
type TargetItem struct {
	Info *Info
	Node *tree.Node
}

// Install adds the store to an image's tree: the store directory with the items, and the state directory with the database, the GC roots
// and the profiles. The nodes in Items become part of that tree; with HardLink, Install first replaces them by nodes that share files.
func (t *Target) Install(ctx context.Context, b *tree.Builder) error {
	roots := links{}
	if err := roots.addAll(t); err != nil {
		return err
	}
	if t.Database == nil {
		database, err := Database(t.Flavor, t.Items, t.Epoch)
		if err != nil {
			return err
		}
		t.Database = database
	}
	shared, err := t.share(ctx)
	if err != nil {
		return err
	}
	i := installer{b: b, time: tree.Time{Sec: t.Epoch}, mount: t.Mount}
	i.store(t, shared)
	i.state(t.Flavor, t.Database)
	for _, at := range slices.Sorted(maps.Keys(roots)) {
		i.symlink(at, roots[at])
	}
	return i.err
}

// Database returns the store database that registers items, in their order, at epoch in seconds since 1970 or at the flavor's own time. It
// does not look at the nodes of items, so it can run while they are still being read.
func Database(f Flavor, items []TargetItem, epoch int64) ([]byte, error) {
	at := cmp.Or(f.RegistrationTime, max(1, epoch)) // Nix takes 0 for a missing time
	infos := make([]*Info, len(items))
	for i, item := range items {
		infos[i] = item.Info
	}
	return db.Write(f.tables, databaseItems(infos), at)
}

// Register registers items in the database of the store below prefix, which is created if it is not there. What they refer to must be among
// them, or valid. epoch is that of [Database]. With again, items that are valid are registered once more, which changes hash and size; otherwise
// they are skipped.
func (f Flavor) Register(ctx context.Context, prefix string, infos []*Info, epoch int64, again bool) error {
	at := cmp.Or(f.RegistrationTime, max(1, epoch))
	path := strings.TrimRight(prefix, "/") + f.Database()
	return ofDatabase(db.Register(ctx, f.tables, path, db.Registration{Items: databaseItems(infos), Epoch: at, Again: again}))
}

// share returns the nodes of the directory of shared files, or nil without HardLink.
func (t *Target) share(ctx context.Context) ([]*tree.Node, error) {
	if !t.HardLink {
		return nil, nil
	}
	return Optimise(ctx, t.Flavor, t.Items, t.Workers)
}

// Recover makes the database of the store below prefix readable after a program that wrote to it was killed.
func (f Flavor) Recover(ctx context.Context, prefix string) error {
	return ofDatabase(db.Recover(ctx, strings.TrimRight(prefix, "/")+f.Database()))
}

// databaseItems converts items to rows of the database, in the same order.
func databaseItems(infos []*Info) []db.Item {
	rows := make([]db.Item, len(infos))
	for i, info := range infos {
		rows[i] = db.Item{
			Path: info.Path.String(), NARHash: info.NARHash, NARSize: info.NARSize,
			Deriver: info.Deriver, CA: info.CA, Sigs: info.Sigs,
		}
		for _, r := range info.References {
			rows[i].References = append(rows[i].References, r.String())
		}
		for _, o := range info.Outputs {
			rows[i].Outputs = append(rows[i].Outputs, db.Output{ID: o.ID, Path: o.Path.String()})
		}
	}
	return rows
}

// An installer adds nodes to a tree until the first error.
type installer struct {
	b    *tree.Builder
	time tree.Time
	err  error

	mount string
}

func (i *installer) add(at string, n *tree.Node) {
	if i.err == nil {
		i.err = i.b.Add(below(i.mount, at), n, "the image's store")
	}
}

// below returns what a path is called in a tree that is mounted at a directory.
func below(mount, at string) string {
	if at == mount {
		return "/"
	}
	return strings.TrimPrefix(at, mount)
}

func (i *installer) attr(mode uint16) *tree.Attr { return &tree.Attr{Mode: mode, Mtime: i.time} }

// dir adds a directory, unless the image already has one there, which keeps its attributes.
func (i *installer) dir(at string) {
	if i.b.Find(below(i.mount, at)) == nil {
		i.add(at, tree.NewDir("", i.attr(0o755), nil))
	}
}

func (i *installer) symlink(at, target string) { i.add(at, tree.NewSymlink("", i.attr(0o777), target)) }

func (i *installer) file(at, content string) {
	i.add(at, tree.NewFile("", i.attr(0o644), tree.Text(content)))
}

// store adds the store directory. Nix and Guix refuse a store directory whose path has a symlink; the builder of the tree follows none, so it has none.
func (i *installer) store(t *Target, shared []*tree.Node) {
	attr := i.attr(t.Flavor.StoreMode)
	attr.GID = t.Flavor.StoreGroup
	i.dir(path.Dir(t.Flavor.StoreDir))
	i.add(t.Flavor.StoreDir, tree.NewDir("", attr, nil))
	// The daemon creates .links when it opens the store; a read-only store must have it from the start.
	i.add(t.Flavor.StoreDir+"/.links", tree.NewDir("", i.attr(0o755), shared))
	for _, item := range t.Items {
		i.add(item.Info.Path.String(), item.Node)
	}
}

// StateDirs returns the directories below the state directory that the daemon creates when it first opens a store, and those that they are in.
func (f Flavor) StateDirs() []string {
	return append([]string{"/db", "/gcroots", "/profiles"}, f.state.dirs...)
}

// state adds the database, the directories that the daemon would create at its first start (local-store.cc), and the flavor's own roots.
func (i *installer) state(f Flavor, database []byte) {
	i.dir(f.StateDir)
	for _, d := range f.state.dirs {
		i.dir(f.StateDir + d)
	}
	i.symlink(f.GCRoots()+"/profiles", f.Profiles())
	for _, at := range slices.Sorted(maps.Keys(f.state.links)) {
		i.symlink(f.StateDir+at, f.state.links[at])
	}
	i.file(f.StateDir+"/db/schema", f.Schema)
	i.file(f.StateDir+"/db/db.sqlite", string(database))
}
