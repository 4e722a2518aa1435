package trees

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"imprint/image/description"
	"imprint/internal/diag"
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
			p.checkTop(d.Key, n.Attr)
		}
	}
	p.report(d.Key, all, d.Override.V)
}

// exists reports whether a path exists. With follow, symlinks are followed.
func (p *making) exists(path string, follow bool) bool {
	if follow {
		n, _ := p.Follow(path)
		return n != nil
	}
	return p.Find(path) != nil
}

// checkTop warns about an archive whose top entry makes the root directory inaccessible, or gives it to another user. Often those are just
// the attributes of the directory that was packed.
func (p *making) checkTop(key diag.Key, a *tree.Attr) {
	stated := slices.ContainsFunc(p.d.Dir.Items, func(d description.Dir) bool { return d.Path.V == "/" })
	if stated || !partition.Named(p.d.Filesystem.V).Owners || a.Mode&0o001 != 0 && a.UID == 0 {
		return
	}
	p.Warn(key, fmt.Sprintf("the archive gives / mode %04o and owner %d:%d", a.Mode, a.UID, a.GID),
		`set them with a [[partition.dir]] with path = "/"`)
}
