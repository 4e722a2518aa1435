package trees

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"imprint/image/description"
	"imprint/internal/diag"
	"imprint/internal/layer"
	"imprint/internal/tree"
	"imprint/partition"
)

// addTree adds a host directory or the entries of an archive. The top of a directory gets default attributes, unless the
// target exists.
func (p *making) addTree(d description.Tree) {
	in, target := p.Hosts[d.Source.Key], cmp.Or(d.Target.V, "/")
	all := conflicts{}
	for _, e := range in.Entries {
		path, n := tree.Join(target, strings.TrimPrefix(e.Path, "/")), e.Node
		if in.IsDir && p.exists(target, d.Override.V) {
			n = tree.NewDir("", nil, n.Children())
		}
		p.addTo(&all, d.Key, path, n, d.Override.V)
		if clean, _ := tree.Clean(path); clean == "/" && !in.IsDir && n.Kind() == tree.Dir {
			p.checkTop(d.Key, "archive", n.Attr)
		}
	}
	p.report(d.Key, all, d.Override.V)
}

// addLayers puts layers on the tree.
func (p *making) addLayers(d description.Layer) {
	p.Keys[d.Key.Path] = d.Key
	for _, l := range p.Hosts[d.Key].Layers {
		if d.Source.Written() {
			p.warnOfLinks(d.Source.Key, l)
		}
		if err := l.Put(p.Builder, d.Key.Path); err != nil {
			p.problem(d.Key, err.Error(), "the layer is on others than it was made for")
			return
		}
		if first := l.Entries(); len(first) > 0 && first[0].Path == "/" {
			p.checkTop(d.Key, "layer", first[0].Node.Attr)
		}
	}
}

// warnOfLinks warns about symlinks that directories of a layer replace.
func (p *making) warnOfLinks(key diag.Key, l *layer.Layer) {
	if links := l.Replaced(p.Find); len(links) > 0 {
		p.Warn(key, fmt.Sprintf("its directory %s replaces a symlink to %s", tree.Shown(links[0].Path), tree.Shown(links[0].Node.Target())),
			"put the files where the symlink leads, unless this is intended")
	}
}

// exists reports whether a path exists. With follow, symlinks are followed.
func (p *making) exists(path string, follow bool) bool {
	if follow {
		n, _ := p.Follow(path)
		return n != nil
	}
	return p.Find(path) != nil
}

// checkTop warns about an archive or a layer whose top entry makes the root directory inaccessible, or gives it to another user. Often those are just
// the attributes of the directory that was packed.
func (p *making) checkTop(key diag.Key, what string, a *tree.Attr) {
	stated := slices.ContainsFunc(p.d.Dir.Items, func(d description.Dir) bool { return d.Path.V == "/" })
	if stated || !partition.Named(p.d.Filesystem.V).Owners || a.Mode&0o001 != 0 && a.UID == 0 {
		return
	}
	p.Warn(key, fmt.Sprintf("the %s gives / mode %04o and owner %d:%d", what, a.Mode, a.UID, a.GID),
		`set them with a [[partition.dir]] with path = "/"`)
}
