package trees

import (
	"fmt"
	"strings"

	"imprint/internal/diag"
	"imprint/internal/tree"
)

// File finds the only file that a pattern matches; symlinks are followed within the tree. With dirs, it may be a directory. The error is a
// [diag.Mistake] that lists the alternatives.
func (t *Tree) File(pattern string, dirs bool) (path string, n *tree.Node, err error) {
	var found []tree.Walked
	for _, w := range t.Glob(pattern) {
		if w.Node.Kind() == tree.File || dirs && w.Node.Kind() == tree.Dir {
			found = append(found, w)
		}
	}
	switch {
	case len(found) == 0:
		return "", nil, diag.Mistake{Text: fmt.Sprintf("%q matches no file in the tree", pattern), Hint: t.nearest(pattern, true)}
	case len(found) > 1:
		return "", nil, diag.Mistake{
			Text: fmt.Sprintf("%q matches %d files: %s", pattern, len(found), paths(found)),
			Hint: "write a pattern that matches one of them, or exclude the others from the tree",
		}
	case t.IsLate(found[0].Node):
		return "", nil, diag.Mistake{Text: fmt.Sprintf("%s contains an identifier, which is chosen only after boot files are found", tree.Shown(found[0].Path))}
	}
	return found[0].Path, found[0].Node, nil
}

// paths lists paths, at most eight.
func paths(list []tree.Walked) string {
	const most = 8
	var all []string
	for _, w := range list[:min(most, len(list))] {
		all = append(all, tree.Shown(w.Path))
	}
	if n := len(list) - most; n > 0 {
		all = append(all, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(all, ", ")
}
