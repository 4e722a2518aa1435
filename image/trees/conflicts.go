package trees

import (
	"errors"
	"fmt"
	"strings"

	"imprint/internal/diag"
	"imprint/internal/tree"
)

// mostConflicts is the number of conflicts reported for one key.
const mostConflicts = 16

// conflicts collects the paths that one key of the description adds although they are in use.
type conflicts struct {
	list []*tree.Conflict
	more int
}

// take adds the conflicts in an error. It reports whether there are any.
func (c *conflicts) take(err error) bool {
	var all *tree.Conflicts
	if !errors.As(err, &all) {
		return false
	}
	room := min(mostConflicts-len(c.list), len(all.List))
	c.list = append(c.list, all.List[:room]...)
	c.more += len(all.List) - room + all.More
	return true
}

// report adds a problem for each conflict, and one with the number of those beyond mostConflicts.
func (p *making) report(key diag.Key, all conflicts, override bool) {
	for _, c := range all.list {
		p.problem(key, c.Error(), p.remedy(key, c, override))
	}
	if all.more > 0 {
		p.problem(key, fmt.Sprintf("%d more paths are in use", all.more), "")
	}
}

// remedy returns the hint for a conflict.
func (p *making) remedy(key diag.Key, c *tree.Conflict, override bool) string {
	switch takes := strings.Contains(key.Path, ".tree[") || strings.Contains(key.Path, ".file[") || strings.Contains(key.Path, ".link["); {
	case override && c.Kind == tree.Dir:
		return "a directory with files is replaced only by a directory: exclude it from the earlier tree"
	case override:
		return ""
	case !takes && c.Kind == tree.Symlink && p.Behind(c.Path) != c.Path:
		return fmt.Sprintf("did you mean %q?", p.Behind(c.Path))
	case !takes:
		return ""
	case c.Kind == tree.Symlink:
		return "with override = true the later one replaces it, and symlinks to directories are followed"
	case c.Kind == tree.Dir:
		return ""
	}
	return "with override = true the later one replaces it"
}
