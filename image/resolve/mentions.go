package resolve

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"imprint/closure"
	"imprint/image/closures"
	"imprint/image/host"
	"imprint/image/plan"
	"imprint/internal/diag"
	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

// dangling warns about links, command lines and small files that name store items missing from the image: they cannot work in
// the running system.
type dangling struct {
	world
	store *closures.Union
	found map[diag.Key]*absences
}

// absences are the missing paths that one key names, each with the first place that names it.
type absences struct {
	list []absence
	seen map[string]bool
}

type absence struct{ path, text, hint string }

// mostAbsences is the number of absences reported for one key.
const mostAbsences = 5

func (w world) dangling(store *closures.Union) *dangling {
	return &dangling{w, store, map[diag.Key]*absences{}}
}

// references checks the store paths named in what the description adds to the partition.
func (t *treeFiller) references() {
	withStore := len(t.d.Closures.Items) > 0
	for _, d := range t.d.Layer.Items {
		t.dangling.layers(d.Key, t.hosts[d.Key], withStore)
	}
	for _, d := range t.d.Tree.Items {
		t.dangling.tree(d.Key, cmp.Or(d.Target.V, "/"), t.hosts[d.Source.Key], withStore)
	}
	for _, d := range t.d.File.Items {
		if d.Text.Written() {
			t.dangling.text(d.Text.Key, "", t.flavor.Mentions(d.Text.V.Expand(t.refer)))
			continue
		}
		for _, m := range t.hosts[d.Source.Key].Mentions {
			t.dangling.text(d.Source.Key, d.Source.V+" ", []closure.Path{m.Item})
		}
	}
	for _, d := range t.d.Link.Items {
		t.dangling.link(d.Target.Key, d.Path.V, d.Target.V.Expand(t.refer), withStore)
	}
}

// text checks the items that a text names. where says which text, with a space after it; "" if it is the key's own.
func (d *dangling) text(key diag.Key, where string, items []closure.Path) {
	for _, item := range items {
		if d.store.Walker.Nodes[item] == nil {
			d.absent(key, where+"names ", item)
		}
	}
}

// link checks a symlink at a path of a partition. withStore says that the store is on the same partition, so that relative
// links can lead into it.
func (d *dangling) link(key diag.Key, at, target string, withStore bool) {
	if !path.IsAbs(target) {
		if !withStore {
			return
		}
		target = path.Join(path.Dir(at), target)
	}
	d.path(key, at+" ", target)
}

// path checks a path in the image that where leads to.
func (d *dangling) path(key diag.Key, where, to string) {
	if to = path.Clean(to); !strings.HasPrefix(to, d.flavor.StoreDir+"/") {
		return
	}
	_, err := d.store.Walker.Find(to)
	var absent *closure.AbsentError
	var nowhere *closure.NowhereError
	switch {
	case errors.As(err, &absent):
		d.absent(key, where+"leads to ", absent.Item)
	case errors.As(err, &nowhere):
		d.add(key, nowhere.At, where+"leads to "+nowhere.At+", but the item has no such file", "")
	}
}

// tree checks the files and links of a host tree.
func (d *dangling) tree(key diag.Key, target string, in *host.Input, withStore bool) {
	for _, m := range in.Mentions {
		d.text(key, tree.Join(target, strings.TrimPrefix(m.Path, "/"))+" ", []closure.Path{m.Item})
	}
	for _, e := range in.Entries {
		d.links(key, target, e, withStore)
	}
}

// layers checks the store paths that layers name.
func (d *dangling) layers(key diag.Key, in *host.Input, withStore bool) {
	d.tree(key, "/", in, withStore)
	for _, l := range in.Layers {
		for _, e := range l.Entries() {
			if e.Node != nil {
				d.links(key, "/", hosttree.Entry{Path: e.Path, Node: e.Node}, withStore)
			}
		}
	}
}

// links checks the symlinks of one entry of a tree.
func (d *dangling) links(key diag.Key, target string, e hosttree.Entry, withStore bool) {
	for at, n := range tree.Walk(e.Path, e.Node) {
		if n.Kind() == tree.Symlink {
			d.link(key, tree.Join(target, strings.TrimPrefix(at, "/")), n.Target(), withStore)
		}
	}
}

// cmdline checks a kernel command line.
func (d *dangling) cmdline(key diag.Key, line string) {
	for word := range strings.FieldsSeq(line) {
		if name, value, ok := strings.Cut(word, "="); ok && slices.Contains(starting, name) {
			d.path(key, word+" ", value)
			continue
		}
		d.text(key, "", d.flavor.Mentions(word))
	}
}

// absent records an item that no closure has; what says where it is named, and how.
func (d *dangling) absent(key diag.Key, what string, item closure.Path) {
	d.add(key, item.String(), fmt.Sprintf("%s%v, which is not in the image", what, item), fmt.Sprintf("add %q to the roots of a [[closure]]", item))
}

// add records a missing path in the store.
func (d *dangling) add(key diag.Key, path, text, hint string) {
	a := d.found[key]
	if a == nil {
		a = &absences{seen: map[string]bool{}}
		d.found[key] = a
	}
	if !a.seen[path] {
		a.seen[path] = true
		a.list = append(a.list, absence{path, text, hint})
	}
}

// report adds the warnings. It waits for all trees: in an image without closures, one of them may contain a store.
func (d *dangling) report(p *plan.Plan) {
	for key, a := range d.found {
		list := slices.DeleteFunc(a.list, func(a absence) bool { return isInTree(p, a.path) })
		for i, a := range list[:min(mostAbsences, len(list))] {
			if more := len(list) - mostAbsences; more > 0 && i == mostAbsences-1 {
				a.text += fmt.Sprintf("; %d more are missing too", more)
			}
			d.warn(key, a.text, a.hint)
		}
	}
}

// isInTree reports whether any partition has something at a path.
func isInTree(p *plan.Plan, path string) bool {
	return slices.ContainsFunc(p.Partitions, func(part *plan.Partition) bool {
		return part.Spec.Tree != nil && part.Spec.Tree.Find(path) != nil
	})
}
