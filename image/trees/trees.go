// Package trees makes the trees of partitions from a description: host trees, directories, files and links, added to or laid over one another,
// with their owners. Each becomes a [Tree], a value in which boot files can be found.
//
// Identifiers do not exist yet: they derive from the contents of the image, which include boot files. So [Tree.Expand] completes texts and
// targets that contain one later, and changes nothing else.
//
// The store, boot files and nested file systems are not included: package resolve adds them.
package trees

import (
	"fmt"
	"slices"
	"strings"

	"imprint/closure"
	"imprint/image/description"
	"imprint/image/host"
	"imprint/internal/accounts"
	"imprint/internal/diag"
	"imprint/internal/tree"
)

// A Maker makes trees. Its fields are the inputs besides the description of a partition.
type Maker struct {
	Epoch  int64          // modification time of nodes from the description, seconds since 1970
	Flavor closure.Flavor // of the store, whose directory a description cannot set
	Hosts  host.Inputs
	Roots  func(description.Reference) string // resolves "${closure.NAME}"

	Warn func(key diag.Key, text, hint string) // takes what is valid but probably a mistake
}

// A Tree is the tree of one partition, as far as a description states it.
type Tree struct {
	*tree.Builder
	Keys map[string]diag.Key // of what was added, by their paths, which are the origins of nodes
	late map[*tree.Node]description.Template
}

// Attrs are the default attributes of nodes.
type Attrs struct{ Dir, File, Link *tree.Attr }

// AttrsAt returns the default attributes with a modification time, in seconds since 1970.
func AttrsAt(epoch int64) Attrs {
	now := tree.Time{Sec: epoch}
	return Attrs{
		Dir:  &tree.Attr{Mode: 0o755, Mtime: now},
		File: &tree.Attr{Mode: 0o644, Mtime: now},
		Link: &tree.Attr{Mode: 0o777, Mtime: now},
	}
}

// A making is a tree that is being made.
type making struct {
	Maker
	*Tree
	d        description.Partition
	defaults Attrs
	accounts map[string]accounts.Accounts // by the path of their file
	problems diag.List
}

// Partition makes the tree of a partition: layers, trees, directories, files, links and then the table of attributes, in this order, so that the
// attributes of a directory are those stated last.
func (m Maker) Partition(d description.Partition) (*Tree, diag.List) {
	defaults := AttrsAt(m.Epoch)
	t := &Tree{tree.NewBuilder(defaults.Dir), map[string]diag.Key{}, map[*tree.Node]description.Template{}}
	p := &making{Maker: m, Tree: t, d: d, defaults: defaults, accounts: map[string]accounts.Accounts{}}
	for _, one := range d.Layer.Items {
		p.addLayers(one)
	}
	for _, one := range d.Tree.Items {
		p.parents([]addition{{key: one.Target.Key, path: one.Target.V, override: one.Override.V}})
		p.addTree(one)
	}
	clear(p.accounts) // read before: later trees may have replaced the files
	p.parents(p.additions())
	for _, one := range d.Dir.Items {
		p.dir(one)
	}
	for _, one := range d.File.Items {
		p.file(one)
	}
	for _, one := range d.Link.Items {
		p.link(one)
	}
	for _, one := range d.Attr.Items {
		p.attr(one)
	}
	return t, p.problems
}

func (p *making) dir(d description.Dir) {
	if path, _ := tree.Clean(d.Path.V); len(p.d.Closures.Items) > 0 && path == strings.TrimPrefix(p.Flavor.StoreDir, p.d.StoreMount()) {
		p.problem(d.Path.Key, path+" is the store, whose mode and owner are fixed", "remove it")
		return
	}
	p.add(d.Path.Key, d.Path.V, tree.NewDir("", p.owned(*p.defaults.Dir, d.Mode, d.Owner()), nil), false)
}

func (p *making) file(d description.File) {
	n := tree.NewFile("", p.owned(*p.defaults.File, d.Mode, d.Owner()), p.content(d))
	if d.Text.Written() && hasIdentifier(d.Text.V) {
		p.late[n] = d.Text.V
	}
	p.add(d.Path.Key, d.Path.V, n, d.Override.V)
}

// content returns the content of a file, without identifiers if it is text.
func (p *making) content(d description.File) tree.Blob {
	if d.Text.Written() {
		return tree.Text(d.Text.V.Expand(p.Roots))
	}
	return p.Hosts[d.Source.Key].Blob
}

func (p *making) link(d description.Link) {
	n := tree.NewSymlink("", p.owned(*p.defaults.Link, description.Value[description.Mode]{}, d.Owner()), d.Target.V.Expand(p.Roots))
	if hasIdentifier(d.Target.V) {
		p.late[n] = d.Target.V
	}
	p.add(d.Path.Key, d.Path.V, n, d.Override.V)
}

// hasIdentifier reports whether a text contains what is chosen only after boot files are found.
func hasIdentifier(t description.Template) bool {
	refs, _ := t.References()
	return slices.ContainsFunc(refs, func(ref description.Reference) bool { return ref.Kind != "closure" })
}

// Expand completes the texts and targets that contain identifiers.
func (t *Tree) Expand(lookup func(description.Reference) string) {
	for n, text := range t.late {
		if n.Kind() == tree.Symlink {
			n.SetTarget(text.Expand(lookup))
		} else {
			n.SetBlob(tree.Text(text.Expand(lookup)))
		}
	}
}

// IsLate reports whether a node gets its content only by Expand.
func (t *Tree) IsLate(n *tree.Node) bool { return t.late[n] != "" }

// owned returns attributes with the mode and owner in the description.
func (p *making) owned(a tree.Attr, mode description.Value[description.Mode], owner description.Owner) *tree.Attr {
	if mode.Written() {
		a.Mode = uint16(mode.V)
	}
	a.UID, a.GID = p.owner(owner)
	return &a
}

// problem adds a problem at a key.
func (p *making) problem(key diag.Key, text, hint string) {
	p.problems = append(p.problems, key.Problem(text, hint))
}

// add adds a node to the tree; paths in use are problems at the key.
func (p *making) add(key diag.Key, path string, n *tree.Node, override bool) {
	all := conflicts{}
	p.addTo(&all, key, path, n, override)
	p.report(key, all, override)
}

// addTo adds a node, and collects the paths that are in use.
func (p *making) addTo(all *conflicts, key diag.Key, path string, n *tree.Node, override bool) {
	p.Keys[key.Path] = key
	add := p.Builder.Add
	if override {
		add = p.Builder.Overlay
	}
	if err := add(path, n, key.Path); err != nil && !all.take(err) {
		p.problem(key, fmt.Sprintf("%s: %v", tree.Shown(path), err), "")
	}
}
