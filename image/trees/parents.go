package trees

import (
	"fmt"
	"iter"
	"path"
	"strings"

	"imprint/image/description"
	"imprint/internal/diag"
	"imprint/internal/tree"
)

// An addition is a path at which the description adds something.
type addition struct {
	key      diag.Key
	path     string
	owned    bool // a file or link: probably its directory should have the same owner
	override bool
	uid, gid uint32
}

// additions returns the directories, files and links of the partition.
func (p *making) additions() (list []addition) {
	for _, dir := range p.d.Dir.Items {
		list = append(list, addition{key: dir.Path.Key, path: dir.Path.V})
	}
	for _, file := range p.d.File.Items {
		uid, gid := p.quietly(file.Owner())
		list = append(list, addition{file.Path.Key, file.Path.V, true, file.Override.V, uid, gid})
	}
	for _, link := range p.d.Link.Items {
		uid, gid := p.quietly(link.Owner())
		list = append(list, addition{link.Path.Key, link.Path.V, true, link.Override.V, uid, gid})
	}
	return list
}

// quietly is owner without reporting problems: they are reported when the node is added.
func (p *making) quietly(o description.Owner) (uid, gid uint32) {
	known := len(p.problems)
	uid, gid = p.owner(o)
	p.problems = p.problems[:known]
	return uid, gid
}

// parents adds the missing directories above the additions. A directory that the description does not state gets the owner of
// the nearest one above it that it states or that is in the tree already, so that /home/u/.config/x belongs to u if /home/u
// does. Under root-owned directories the tree builder makes them, root's; parents warns if a file in one belongs to another
// user.
func (p *making) parents(list []addition) {
	stated := map[string]*tree.Attr{}
	known := len(p.problems)
	for _, d := range p.d.Dir.Items {
		stated[d.Path.V] = p.owned(*p.defaults.Dir, d.Mode, d.Owner())
	}
	p.problems = p.problems[:known] // they are reported where the directories are added
	warned := map[string]bool{}
	for _, a := range list {
		if a.override {
			a.path = p.Behind(a.path)
		}
		dir := path.Dir(a.path)
		isRoots := p.above(a, stated)
		if !isRoots || !a.owned || a.uid == 0 || warned[dir] || strings.Count(dir, "/") == 1 { // those below "/" are root's everywhere
			continue
		}
		warned[dir] = true
		p.Warn(a.key, fmt.Sprintf("%s belongs to user %d, but %s will belong to root", a.path, a.uid, dir),
			fmt.Sprintf("add a [[partition.dir]] with path = %q, uid = %d and gid = %d, or without uid and gid to leave it to root", dir, a.uid, a.gid))
	}
}

// above adds the missing directories above one path. It reports whether the last one is left to root because the description
// does not state it.
func (p *making) above(a addition, stated map[string]*tree.Attr) (isRoots bool) {
	owner := p.defaults.Dir
	for at := range ancestors(a.path) {
		n := p.Find(at)
		switch isRoots = false; {
		case stated[at] != nil:
			owner = stated[at]
		case n != nil:
			owner = n.Inode().Attr
		case owner.UID == 0 && owner.GID == 0:
			isRoots = true
		default:
			owner = inherited(*owner, p.Epoch)
			p.add(a.key, at, tree.NewDir("", owner, nil), false)
		}
	}
	return isRoots
}

// ancestors yields the directories above an absolute path, from below the root down.
func ancestors(p string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := 1; i < len(p); i++ {
			if p[i] == '/' && !yield(p[:i]) {
				return
			}
		}
	}
}

// inherited returns the attributes of a directory that is not stated, below one with attributes a: those that mkdir would give
// it with umask 022.
func inherited(a tree.Attr, epoch int64) *tree.Attr {
	const setGID = 0o2000
	return &tree.Attr{Mode: a.Mode & (0o755 | setGID), UID: a.UID, GID: a.GID, Mtime: tree.Time{Sec: epoch}}
}
