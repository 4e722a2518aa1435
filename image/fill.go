package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"imprint/bootloader"
	"imprint/closure"
	"imprint/internal/processors"
	"imprint/internal/tree"
)

// fill makes the tree of every partition complete: the store with its database and roots, boot files, and what the description adds.
func (r *resolver) fill(ctx context.Context) error {
	boot, err := r.arrange(ctx)
	if err != nil {
		return err
	}
	for i, raw := range r.d.Raw { // behind the loader's own, which cannot lie elsewhere
		key := fmt.Sprintf("raw[%d]", i)
		r.plan.Raw = append(r.plan.Raw, Raw{Key: key, Name: key, Offset: raw.Offset.Bytes, Content: r.hosts[key+".source"].blob})
	}
	for i, p := range r.plan.Partitions {
		d := r.d.Partition[i]
		if p.Spec.Filesystem == "none" {
			if p.code == nil {
				p.Spec.Content = r.content(p)
			}
			continue
		}
		f := &filler{r: r, p: p, d: d, b: tree.NewBuilder(r.attrs().dir)}
		f.description()
		f.boot(boot.Files)
		f.inside()
		if err := f.store(ctx); err != nil {
			return err
		}
		if p.Spec.Tree, err = f.b.Tree(); err != nil {
			return fmt.Errorf("%s: %v", p.Key, err)
		}
	}
	return nil
}

func (r *resolver) content(p *Partition) tree.Blob {
	if in := r.hosts[p.Key+".content"]; in != nil {
		return in.blob
	}
	return tree.Text("")
}

// defaultAttrs are the attributes of what the description adds without saying more.
type defaultAttrs struct{ dir, file, link *tree.Attr }

func (r *resolver) attrs() defaultAttrs {
	now := tree.Time{Sec: r.plan.Epoch}
	return defaultAttrs{
		dir:  &tree.Attr{Mode: 0o755, Mtime: now},
		file: &tree.Attr{Mode: 0o644, Mtime: now},
		link: &tree.Attr{Mode: 0o777, Mtime: now},
	}
}

// filler builds the tree of one partition.
type filler struct {
	r *resolver
	p *Partition
	d PartitionDescription
	b *tree.Builder
}

// store installs the closures that the partition selects, registered and rooted.
func (f *filler) store(ctx context.Context) error {
	if len(f.d.Closures) == 0 {
		return nil
	}
	if dir := f.b.Find(f.r.flavor.StoreDir); dir != nil && (dir.Kind() != tree.Dir || len(dir.Children()) > 0) {
		f.r.problem(f.p.Key, "something else than the closures puts files into "+f.r.flavor.StoreDir, "a closure brings all that belongs there")
		return nil
	}
	t := closure.Target{Flavor: f.r.flavor, Epoch: f.r.plan.Epoch, HardLink: f.r.d.Store.HardLink, Database: f.r.store, Workers: 2 * processors.Count()}
	f.p.Items = f.r.itemsOf(f.d.Closures)
	for _, item := range f.p.Items {
		t.Items = append(t.Items, closure.TargetItem{Info: item.Info, Node: item.Node})
	}
	for i, c := range f.r.d.Closure {
		if slices.Contains(f.d.Closures, c.Name) {
			f.root(&t, f.r.plan.Closures[i], c.GCRoots)
		}
	}
	for _, e := range f.r.entries {
		for _, i := range e.items {
			t.Roots = append(t.Roots, closure.GCRoot{Path: f.r.flavor.StateDir + "/gcroots/imprint/" + i.name, Target: i.path.String()})
		}
	}
	err := t.Install(ctx, f.b)
	var conflict *tree.Conflict
	if errors.As(err, &conflict) {
		key := f.p.Key
		if strings.HasPrefix(conflict.First, "partition[") { // this one, or one that is a file of it
			key = conflict.First
		}
		f.r.problem(key, conflict.Error(), "this path belongs to the store")
		return nil
	}
	for i, item := range f.p.Items {
		item.Node = t.Items[i].Node // hard links have made new ones
	}
	return err
}

// root keeps the roots of a closure from the garbage collector.
func (f *filler) root(t *closure.Target, c *Closure, extra []string) {
	for i, root := range c.Roots {
		if c.Profile != "" {
			t.Profiles = append(t.Profiles, closure.Profile{Name: c.Profile, Item: root})
			continue
		}
		link := fmt.Sprintf("%s/gcroots/imprint/%s-%d", f.r.flavor.StateDir, c.Name, i)
		t.Roots = append(t.Roots, closure.GCRoot{Path: link, Target: root.String()})
	}
	for i, link := range extra {
		t.Roots = append(t.Roots, closure.GCRoot{Path: link, Target: c.Roots[min(i, len(c.Roots)-1)].String()})
	}
}

// itemsOf gives the items that the named closures need, references first.
func (r *resolver) itemsOf(names []string) []*Item {
	wanted := map[closure.Path]bool{}
	for _, name := range names {
		for _, root := range r.roots[name] {
			wanted[root] = true
		}
	}
	var items []*Item
	for _, item := range slices.Backward(r.plan.Items) { // referrers before what they refer to
		if !wanted[item.Info.Path] {
			continue
		}
		items = append(items, item)
		for _, ref := range item.Info.References {
			wanted[ref] = true
		}
	}
	slices.Reverse(items)
	return items
}

// description adds trees, directories, files and links, in this order: what is stated later has the say over a directory's attributes.
func (f *filler) description() {
	defaults := f.r.attrs()
	for i, d := range f.d.Tree {
		f.tree(fmt.Sprintf("tree[%d]", i), d)
	}
	for i, d := range f.d.Dir {
		if path, _ := tree.Clean(d.Path); path == f.r.flavor.StoreDir && len(f.d.Closures) > 0 {
			f.r.problem(fmt.Sprintf("%s.dir[%d].path", f.p.Key, i), path+" is the store's, which has a mode and owner of its own", "leave it out")
			continue
		}
		f.add(fmt.Sprintf("dir[%d].path", i), d.Path, tree.NewDir("", owned(*defaults.dir, d.Mode, d.UID, d.GID), nil))
	}
	for i, d := range f.d.File {
		n := tree.NewFile("", owned(*defaults.file, d.Mode, d.UID, d.GID), f.fileContent(i, d))
		f.add(fmt.Sprintf("file[%d].path", i), d.Path, n)
	}
	for i, d := range f.d.Link {
		target := d.Target.Expand(f.r.reference)
		f.add(fmt.Sprintf("link[%d].path", i), d.Path, tree.NewSymlink("", owned(*defaults.link, Mode{}, d.UID, d.GID), target))
	}
}

func owned(a tree.Attr, mode Mode, uid, gid uint32) *tree.Attr {
	if mode.Set {
		a.Mode = mode.Bits
	}
	a.UID, a.GID = uid, gid
	return &a
}

func (f *filler) fileContent(i int, d FileDescription) tree.Blob {
	if d.Text != nil {
		return tree.Text(d.Text.Expand(f.r.reference))
	}
	return f.r.hosts[fmt.Sprintf("%s.file[%d].source", f.p.Key, i)].blob
}

// add puts a node into the tree; a path that is taken is a problem of that key.
func (f *filler) add(key, path string, n *tree.Node) {
	key = f.p.Key + "." + key
	err := f.b.Add(path, n, key)
	var conflict *tree.Conflict
	if errors.As(err, &conflict) {
		f.r.problem(key, conflict.Error(), "")
	} else if err != nil {
		f.r.problem(key, fmt.Sprintf("%s: %v", path, err), "")
	}
}

// tree adds a host tree below its target.
func (f *filler) tree(key string, d TreeDescription) {
	target := cmp.Or(d.Target, "/")
	for _, e := range f.r.hosts[f.p.Key+"."+key+".source"].entries {
		f.add(key, tree.Join(target, strings.TrimPrefix(e.Path, "/")), e.Node)
	}
}

// boot adds the loader's files that belong on this partition.
func (f *filler) boot(files []bootloader.File) {
	for _, b := range files {
		if b.Partition == f.p.Spec.Name {
			n := tree.NewFile("", f.r.attrs().file, b.Content)
			if err := f.b.Add(b.Path, n, "boot"); err != nil {
				f.r.problem("boot.loader", fmt.Sprintf("%s: %v", f.p.Key, err), "")
			}
		}
	}
}
