package layer

import (
	"fmt"
	"slices"
	"strings"

	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

// Names of the marks of whiteouts in archives (OCI image specification, layer.md, "Whiteouts"). Names that begin with aufs are of the file system
// that they come from, and mean nothing to others.
const (
	whiteout = ".wh."
	aufs     = ".wh..wh."
	opaque   = ".wh..wh..opq"
)

// Of returns what an archive or a directory has as a layer. It understands the marks of whiteouts and opaque directories of OCI images, and those of
// overlayfs: a device 0:0, and extended attributes, which the layer does not have. A whiteout is about lower layers only, wherever in the archive
// it is.
func Of(entries []hosttree.Entry) (*Layer, error) {
	m := &marks{at: map[string]int{}, gone: map[string]bool{}, opaque: map[string]bool{}}
	for _, e := range entries {
		for path, n := range tree.Walk(e.Path, e.Node) {
			if err := m.add(path, n); err != nil {
				return nil, fmt.Errorf("%s: %w", tree.Shown(path), err)
			}
		}
	}
	m.hide()
	return New(m.list)
}

// marks are entries so far, and what was marked.
type marks struct {
	list         []Entry
	at           map[string]int // index of a path in list
	gone, opaque map[string]bool
}

func (m *marks) add(path string, n *tree.Node) error {
	name, dir := nameOf(path), dirOf(path)
	switch {
	case path == "/":
	case name == opaque:
		m.opaque[dir] = true
		return nil
	case strings.HasPrefix(name, aufs):
		return nil
	case strings.HasPrefix(name, whiteout):
		hidden := strings.TrimPrefix(name, whiteout)
		if err := tree.CheckName(hidden); err != nil {
			return fmt.Errorf("is a whiteout of %w", err)
		}
		m.gone[tree.Join(dir, hidden)] = true
		return nil
	case n.Inode().Kind() == tree.CharDevice && n.Inode().Device() == tree.Device{}: // the kernel links one whiteout to all its names
		m.gone[path] = true
		return nil
	}
	if m.below(path) {
		return fmt.Errorf("is below a whiteout")
	}
	if err := m.attributes(path, n); err != nil {
		return err
	}
	if i, again := m.at[path]; again {
		m.list[i] = Entry{Path: path, Node: n}
		return nil
	}
	m.at[path] = len(m.list)
	m.list = append(m.list, Entry{Path: path, Node: n})
	return nil
}

// below reports whether the name of a directory on the way is that of a mark.
func (m *marks) below(path string) bool {
	return strings.Contains(path, "/"+whiteout)
}

// attributes takes the marks out of extended attributes.
func (m *marks) attributes(path string, n *tree.Node) error {
	if n.Attr == nil || !slices.ContainsFunc(n.Attr.Xattrs, isMark) {
		return nil
	}
	a := *n.Attr
	a.Xattrs = nil
	for _, x := range n.Attr.Xattrs {
		switch _, name, _ := strings.Cut(x.Name, "."); {
		case !isMark(x):
			a.Xattrs = append(a.Xattrs, x)
		case strings.HasSuffix(name, ".opaque") && n.Kind() == tree.Dir && string(x.Value) != "n":
			m.opaque[path] = true
		case strings.HasSuffix(name, ".redirect") || strings.HasSuffix(name, ".metacopy"):
			return fmt.Errorf("has %s: its content is elsewhere in lower layers (mount overlayfs with redirect_dir=off,metacopy=off)", x.Name)
		}
	}
	n.Attr = &a
	return nil
}

// isMark reports whether an extended attribute is one of overlayfs itself.
func isMark(x tree.Xattr) bool {
	return strings.HasPrefix(x.Name, "trusted.overlay.") || strings.HasPrefix(x.Name, "user.overlay.") || strings.HasPrefix(x.Name, "user.fuseoverlayfs.")
}

// hide adds the whiteouts. What the layer has itself at a path hides lower layers without one, and a directory there is opaque.
func (m *marks) hide() {
	above := map[string]bool{} // directories that something is in
	for _, e := range m.list {
		for dir := dirOf(e.Path); !above[dir]; dir = dirOf(dir) {
			above[dir] = true
		}
	}
	for path := range m.gone {
		if _, has := m.at[path]; has || above[path] {
			m.opaque[path] = true
		} else {
			m.list = append(m.list, Entry{Path: path})
		}
	}
	for path := range m.opaque {
		i, has := m.at[path]
		switch {
		case has && m.list[i].Node.Kind() == tree.Dir:
			m.list[i].Opaque = true
		case !has && !m.gone[path] || above[path]:
			m.list = append(m.list, Entry{Path: path, Node: tree.NewDir("", plainDir, nil), Opaque: true})
		}
	}
}

// plainDir has the attributes of a directory of which only a mark says that it is there.
var plainDir = &tree.Attr{Mode: 0o755}
