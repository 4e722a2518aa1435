package trees

import (
	"fmt"
	"slices"
	"strings"

	"imprint/image/description"
	"imprint/internal/diag"
	"imprint/internal/pattern"
	"imprint/internal/tree"
)

// attr gives a mode and an owner to everything that a pattern matches.
func (p *making) attr(d description.Attr) {
	set, _ := pattern.Parse([]string{d.Path.V}) // checked with the description
	uid, gid := p.owner(d.Owner())
	change := func(a tree.Attr, isLink bool) *tree.Attr {
		if d.Mode.Written() && !isLink {
			a.Mode = uint16(d.Mode.V)
		}
		if d.UID.Written() || d.User.Written() {
			a.UID = uid
		}
		if d.GID.Written() || d.Group.Written() {
			a.GID = gid
		}
		return &a
	}
	type shared struct {
		*tree.Attr
		isLink bool
	}
	made := map[shared]*tree.Attr{} // equal attributes stay shared
	matched := false
	for path, n := range tree.Walk("/", p.Find("/")) {
		if !set.Match(path, n.Kind() == tree.Dir) {
			continue
		}
		matched, n = true, n.Inode()
		old := shared{n.Attr, n.Kind() == tree.Symlink}
		if made[old] == nil {
			made[old] = change(*n.Attr, old.isLink)
			made[shared{made[old], old.isLink}] = made[old] // of a file with two names
		}
		n.Attr = made[old]
	}
	if !matched {
		p.problem(d.Path.Key, fmt.Sprintf("%q matches nothing in the tree", d.Path.V), p.nearest(d.Path.V, false))
	}
}

// nearest returns the hint for a path or pattern without a match: the path that may be meant, or the contents of the last directory on the
// way. With follow, symlinks on the way are followed.
func (t *Tree) nearest(path string, follow bool) string {
	at := "/"
	for element := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if strings.ContainsAny(element, `*?[\`) {
			break
		}
		next := t.Find(tree.Join(at, element))
		if next == nil {
			return t.nearIn(at, element)
		}
		at = tree.Join(at, element)
		if next.Kind() == tree.Symlink {
			n, real := t.Follow(at)
			if follow && n != nil {
				at = real
				continue
			}
			return fmt.Sprintf("%s is a symlink to %s: write that", tree.Shown(at), tree.Shown(real))
		}
	}
	return fmt.Sprintf("in %s there is %s", tree.Shown(at), t.names(at))
}

// nearIn returns the hint for a name that a directory lacks.
func (t *Tree) nearIn(dir, name string) string {
	var names []string
	for _, n := range t.Find(dir).Children() {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	if near := diag.Nearest(name, names); near != "" {
		return fmt.Sprintf("did you mean %q?", tree.Join(dir, near))
	}
	return fmt.Sprintf("in %s there is %s", tree.Shown(dir), t.names(dir))
}

// names lists the names in a directory, at most eight.
func (t *Tree) names(dir string) string {
	const most = 8
	var names []string
	for _, n := range t.Find(dir).Children() {
		names = append(names, tree.Shown(n.Name))
	}
	slices.Sort(names)
	text := strings.Join(names[:min(most, len(names))], ", ")
	switch n := len(names) - most; {
	case len(names) == 0:
		return "nothing"
	case n > 0:
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}
