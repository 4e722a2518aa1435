package diff

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"imprint/image/disk"
	"imprint/internal/tree"
)

// A walker compares the trees of a region.
type walker struct {
	*comparison
	pair
	nested         map[string]bool       // paths of files that are regions of their own
	linksA, linksB map[*tree.Node]string // see linked
	contents       []*content
	item           string // the store item that the walk is in
	found          []Change
}

// A content is a pair of contents to compare, and the change to report if they differ.
type content struct {
	a, b   tree.Blob
	change Change
	tally  tally
}

// trees compares the files of a region.
func (c *comparison) trees(p pair) error {
	w := &walker{
		comparison: c, pair: p, nested: nestedPaths(p, c.a, c.b), linksA: linked(p.a.Volume.Tree), linksB: linked(p.b.Volume.Tree),
	}
	w.both("/", p.a.Volume.Tree.Root(), p.b.Volume.Tree.Root())
	if err := w.compareContents(); err != nil {
		return err
	}
	c.changes = append(c.changes, w.found...)
	return nil
}

// nestedPaths returns the paths of files that are regions of their own in both disks: their bytes are compared there.
func nestedPaths(p pair, a, b *disk.Disk) map[string]bool {
	paths := map[string]bool{}
	for _, r := range a.Regions {
		if r.In != p.a {
			continue
		}
		paths[r.Path] = slices.ContainsFunc(b.Regions, func(o *disk.Region) bool { return o.In == p.b && o.Path == r.Path })
	}
	return paths
}

// linked returns the first path of each file that has several.
func linked(t *tree.Tree) map[*tree.Node]string {
	links := map[*tree.Node]string{}
	for n := range t.Nodes() {
		if n.Kind() == tree.Link {
			links[n.Inode()] = ""
		}
	}
	if len(links) == 0 {
		return links
	}
	for path, n := range t.Walk() {
		if _, ok := links[n]; ok {
			links[n] = path
		}
	}
	return links
}

// both compares the nodes at a path that both trees have.
func (w *walker) both(path string, a, b *tree.Node) {
	if w.items.known(path) {
		w.item = path
		defer func() { w.item = "" }()
		if w.Values && w.items.same(path) {
			return
		}
	}
	x, y := a.Inode(), b.Inode()
	if x.Kind() != y.Kind() {
		w.report(path, Structure, "kind", x.Kind(), y.Kind())
		return
	}
	w.attributes(path, x, y)
	switch x.Kind() {
	case tree.Dir:
		w.children(path, x, y)
		return
	case tree.File:
		w.content(path, x, y)
	case tree.Symlink:
		w.report(path, Structure, "target", x.Target(), y.Target())
	case tree.CharDevice, tree.BlockDevice:
		w.report(path, Structure, "device", x.Device(), y.Device())
	}
	w.report(path, Structure, "hard link to", linkOf(a, w.linksA), linkOf(b, w.linksB))
}

func linkOf(n *tree.Node, first map[*tree.Node]string) string {
	if n.Kind() != tree.Link {
		return ""
	}
	return first[n.Inode()]
}

// attributes compares the attributes of two inodes; a file system may store none.
func (w *walker) attributes(path string, x, y *tree.Node) {
	if x.Attr == nil || y.Attr == nil {
		return
	}
	a, b := x.Attr, y.Attr
	w.report(path, File, "mode", fmt.Sprintf("%04o", a.Mode), fmt.Sprintf("%04o", b.Mode))
	w.report(path, File, "owner", fmt.Sprintf("%d:%d", a.UID, a.GID), fmt.Sprintf("%d:%d", b.UID, b.GID))
	w.report(path, Time, "mtime", timeText(a.Mtime), timeText(b.Mtime))
	xa, xb := xattrs(a), xattrs(b)
	for _, name := range slices.Sorted(maps.Keys(union(xa, xb))) {
		w.report(path, File, "extended attribute "+tree.Shown(name), xa[name], xb[name])
	}
}

func timeText(t tree.Time) string {
	if t.Nsec == 0 {
		return fmt.Sprint(t.Sec)
	}
	return fmt.Sprintf("%d.%09d", t.Sec, t.Nsec)
}

// mostValue is the number of bytes of a value that a change shows.
const mostValue = 64

func xattrs(a *tree.Attr) map[string]string {
	m := map[string]string{}
	for _, x := range a.Xattrs {
		m[x.Name] = cmp.Or(cutValue(string(x.Value)), "no value")
	}
	return m
}

// cutValue shortens a long value. The digest keeps values apart that begin with the same bytes.
func cutValue(text string) string {
	if len(text) <= mostValue {
		return text
	}
	return fmt.Sprintf("%s… (%d bytes, SHA-256 %.8x…)", text[:mostValue], len(text), sha256.Sum256([]byte(text)))
}

func union(a, b map[string]string) map[string]bool {
	all := map[string]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return all
}

// report adds a change of a file if two values differ.
func (w *walker) report(path string, class Class, field string, a, b any) {
	if a == b {
		return
	}
	change := w.change(path, Changed)
	if class == Time {
		change.Class = Time
	}
	change.Field = field
	if a != "" {
		change.A = plain(a)
	}
	if b != "" {
		change.B = plain(b)
	}
	w.found = append(w.found, change)
}

func plain(v any) string { return tree.Shown(fmt.Sprint(v)) }

// change returns a change of the node at a path.
func (w *walker) change(path, what string) Change {
	c := Change{Class: File, Region: w.name(), Object: path, What: what, Offset: -1, Item: w.item}
	if w.item != "" || w.items.isRoot(path) || w.items.isDatabase(path) {
		c.Class = Store
	}
	return c
}

// children compares two directories.
func (w *walker) children(path string, a, b *tree.Node) {
	x, y := a.Children(), b.Children()
	for len(x) > 0 || len(y) > 0 {
		switch order := compareNames(x, y); {
		case order < 0:
			w.one(tree.Join(path, x[0].Name), x[0], Removed)
			x = x[1:]
		case order > 0:
			w.one(tree.Join(path, y[0].Name), y[0], Added)
			y = y[1:]
		default:
			w.both(tree.Join(path, x[0].Name), x[0], y[0])
			x, y = x[1:], y[1:]
		}
	}
}

// compareNames compares the names of the first nodes of two sorted lists; an empty list comes last.
func compareNames(x, y []*tree.Node) int {
	switch {
	case len(y) == 0:
		return -1
	case len(x) == 0:
		return 1
	}
	return cmp.Compare(x[0].Name, y[0].Name)
}

// lostFound is the directory that e2fsprogs adds to a tree.
const lostFound = "/lost+found"

// one reports a node that only one tree has, with everything below it. A registered item is a change of the store instead.
func (w *walker) one(path string, n *tree.Node, what string) {
	if w.items.oneSided(path) || path == lostFound && w.pair.b.Volume.Size == 0 {
		return
	}
	change := w.change(path, what)
	size, nodes := int64(0), 0
	for _, below := range tree.Walk(path, n) {
		size += below.Size()
		nodes++
	}
	text := n.Inode().Kind().String()
	if nodes > 1 {
		text += fmt.Sprintf(" with %d files", nodes-1)
	}
	if n.Kind() == tree.Symlink {
		text += " to " + tree.Shown(n.Target())
	}
	if change.Bytes = size; what == Added {
		change.B = text
	} else {
		change.A = text
	}
	w.found = append(w.found, change)
}
