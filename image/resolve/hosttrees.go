package resolve

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
func (t *treeFiller) addTree(d description.Tree) {
	in, target := t.hosts[d.Source.Key], cmp.Or(d.Target.V, "/")
	for _, e := range in.Entries {
		path, n := tree.Join(target, strings.TrimPrefix(e.Path, "/")), e.Node
		if in.IsDir && t.b.Find(target) != nil {
			n = tree.NewDir("", nil, n.Children())
		}
		t.add(d.Key, path, n)
		if clean, _ := tree.Clean(path); clean == "/" && !in.IsDir && n.Kind() == tree.Dir {
			t.checkTop(d.Key, n.Attr)
		}
	}
}

// checkTop warns about an archive whose entry for its own top makes the root directory inaccessible or not root's. Often that
// is just how the packed directory was kept.
func (t *treeFiller) checkTop(key diag.Key, a *tree.Attr) {
	stated := slices.ContainsFunc(t.d.Dir.Items, func(d description.Dir) bool { return d.Path.V == "/" })
	if stated || !partition.Named(t.d.Filesystem.V).Owners || a.Mode&0o001 != 0 && a.UID == 0 {
		return
	}
	t.warn(key, fmt.Sprintf("the archive gives / mode %04o and owner %d:%d", a.Mode, a.UID, a.GID),
		`set them with a [[partition.dir]] with path = "/"`)
}
