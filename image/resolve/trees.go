package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"imprint/bootloader"
	"imprint/closure"
	"imprint/image/closures"
	"imprint/image/description"
	"imprint/image/host"
	"imprint/image/plan"
	"imprint/image/trees"
	"imprint/internal/diag"
	"imprint/internal/processors"
	"imprint/internal/tree"
	"imprint/partition"
)

// A filler makes the trees of the partitions.
type filler struct {
	world
	plan     *plan.Plan
	hosts    host.Inputs
	stored   *closures.Union
	boot     *boot
	dangling *dangling
	problems diag.List
}

// fill completes the tree of every partition: what the description adds, boot files, nested file systems, and the store with
// its database and GC roots.
func (w world) fill(ctx context.Context, p *plan.Plan, hosts host.Inputs, store *closures.Union, stated []*trees.Tree, boot *boot, files []bootloader.File) error {
	f := &filler{world: w, plan: p, hosts: hosts, stored: store, boot: boot, dangling: w.dangling(store)}
	for _, raw := range w.d.Raw.Items { // after the loader's own, which cannot move: conflicts are reported at these
		p.Raw = append(p.Raw, plan.Raw{Key: raw.Key, Name: raw.Key.Path, Offset: raw.Offset.V.Bytes, Content: hosts[raw.Source.Key].Blob})
	}
	for i, part := range p.Partitions {
		d := w.d.Partition.Items[i]
		if !partition.Named(d.Filesystem.V).HasFiles() {
			f.content(part, d)
			continue
		}
		if stated[i] == nil { // it is the same as in the first plan
			before := w.sealing.first.Partitions[i]
			part.Items, part.Spec.Tree, part.Spec.Free = before.Items, before.Spec.Tree, before.Spec.Free
			continue
		}
		if err := f.tree(ctx, part, d, stated[i], files); err != nil {
			return err
		}
	}
	for i, e := range p.Entries {
		f.dangling.cmdline(boot.entries[i].cmdline.Key, e.Cmdline)
	}
	f.dangling.report(p)
	return f.problems.Err()
}

// content sets the content of a partition without a file system, unless the loader provides it.
func (f *filler) content(part *plan.Partition, d description.Partition) {
	switch in := f.hosts[d.Content.Key]; {
	case part.Code != nil:
	case in != nil:
		part.Spec.Content = in.Blob
	default:
		part.Spec.Content = tree.Text("")
	}
}

// described makes the trees of all partitions that have one, as far as the description states them.
func (w world) described(hosts host.Inputs, store *closures.Union) (stated []*trees.Tree, problems diag.List) {
	m := trees.Maker{Epoch: w.epoch, Flavor: w.flavor, Hosts: hosts, Roots: store.Reference, Warn: w.warn}
	for _, d := range w.d.Partition.Items {
		if !partition.Named(d.Filesystem.V).HasFiles() || w.sealing != nil && w.sealing.roots != nil && w.stays(&d) {
			stated = append(stated, nil)
			continue
		}
		t, found := m.Partition(d)
		stated, problems = append(stated, t), append(problems, found...)
	}
	return stated, problems
}

// tree completes the tree of one partition.
func (f *filler) tree(ctx context.Context, part *plan.Partition, d description.Partition, stated *trees.Tree, files []bootloader.File) error {
	t := &treeFiller{filler: f, Tree: stated, part: part, d: d}
	t.Expand(t.refer)
	t.standard()
	t.references()
	t.fstab()
	t.repart()
	t.storeMount()
	t.bootFiles(files)
	part.Spec.Free = f.room(d, files, f.boot.hasGenerations())
	t.inside()
	if err := t.store(ctx); err != nil {
		return err
	}
	var err error
	if part.Spec.Tree, err = t.Builder.Tree(); err != nil {
		return fmt.Errorf("%s: %v", d.Key.Path, err)
	}
	return nil
}

// A treeFiller completes the tree of one partition.
type treeFiller struct {
	*filler
	*trees.Tree
	part *plan.Partition
	d    description.Partition
}

// refer resolves a substitution in the partition's tree.
func (t *treeFiller) refer(ref description.Reference) string {
	t.derives(t.d.Name.V, t.plan, ref)
	return t.reference(t.plan, t.stored)(ref)
}

// bootFiles adds the loader's files that belong on this partition.
func (t *treeFiller) bootFiles(files []bootloader.File) {
	for _, b := range files {
		if b.Partition != t.part.Spec.Name {
			continue
		}
		if err := t.Add(b.Path, tree.NewFile("", trees.AttrsAt(t.epoch).File, b.Content), "boot"); err != nil {
			t.problems = append(t.problems, t.world.d.Boot.Loader.Key.Problem(fmt.Sprintf("%s: %v", t.d.Key.Path, err), ""))
		}
	}
}

// inside adds empty files for the file systems inside the partition. The layout fills in their content, whose size only it
// knows.
func (t *treeFiller) inside() {
	for _, d := range t.world.d.Partition.Items {
		if d.Inside.V == "" || d.Inside.V != t.part.Spec.Name {
			continue
		}
		t.Keys[d.Path.Key.Path] = d.Path.Key
		if err := t.Add(d.Path.V, tree.NewFile("", trees.AttrsAt(t.epoch).File, tree.Text("")), d.Path.Key.Path); err != nil {
			t.problems = append(t.problems, d.Path.Key.Problem(err.Error(), "choose another path"))
		}
	}
}

// store installs the partition's closures, registered and rooted.
func (t *treeFiller) store(ctx context.Context) error {
	names := description.Strings(t.d.Closures)
	if len(names) == 0 {
		return nil
	}
	if dir := t.Find(strings.TrimPrefix(t.flavor.StoreDir, t.d.StoreMount())); dir != nil && (dir.Kind() != tree.Dir || len(dir.Children()) > 0) {
		t.problems = append(t.problems, t.d.Key.Problem("something other than a closure adds files to "+t.flavor.StoreDir,
			"only closures may add to the store"))
		return nil
	}
	target := closure.Target{
		Mount: t.d.StoreMount(), Flavor: t.flavor, Epoch: t.epoch, HardLink: t.world.d.Store.HardLink.V, Database: t.stored.Database, Workers: 2 * processors.Count(),
	}
	t.part.Items = t.stored.ItemsOf(names)
	for _, item := range t.part.Items {
		target.Items = append(target.Items, closure.TargetItem{Info: item.Info, Node: item.Node})
	}
	t.roots(&target, names)
	err := target.Install(ctx, t.Builder)
	var conflict *tree.Conflict
	if errors.As(err, &conflict) {
		t.problems = append(t.problems, cmp.Or(t.Keys[conflict.First], t.d.Key).Problem(conflict.Error(), "this path belongs to the store"))
		return nil
	}
	for i, item := range t.part.Items {
		item.Node = target.Items[i].Node // hard linking may have replaced it
	}
	return err
}

// roots adds GC roots for the closures and the boot entries, so that a garbage collection in the running system does not
// remove them.
func (t *treeFiller) roots(target *closure.Target, names []string) {
	own := t.flavor.GCRoots() + "/imprint/"
	for i, c := range t.stored.Closures {
		if !slices.Contains(names, c.Name) {
			continue
		}
		if c.Profile != "" {
			target.Profiles = append(target.Profiles, closure.Profile{Name: c.Profile, Generations: c.Roots})
		}
		for k, root := range c.Roots {
			if c.Profile == "" {
				target.Roots = append(target.Roots, closure.GCRoot{Path: fmt.Sprintf("%s%s-%d", own, c.Name, k), Target: root.String()})
			}
		}
		for k, link := range t.world.d.Closure.Items[i].GCRoots.Items {
			root := c.Roots[min(k, len(c.Roots)-1)]
			target.Roots = append(target.Roots, closure.GCRoot{Path: link.V, Target: root.String()})
		}
	}
	kept := t.stored.KeptByProfiles(names)
	ids := bootloader.IDs(t.plan.Entries)
	for k, e := range t.boot.entries {
		for _, i := range e.items {
			if !kept[i.path] {
				target.Roots = append(target.Roots, closure.GCRoot{Path: own + "boot-" + ids[k] + "-" + i.name, Target: i.path.String()})
			}
		}
	}
}
