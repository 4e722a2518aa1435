package hosttree

import (
	"slices"

	"golang.org/x/sys/unix"

	"imprint/internal/tree"
)

// leftOut stands for the node of a file that is left out.
var leftOut = new(tree.Node)

// entry is look for an entry of a directory, which may be left out.
func (w *worker) entry(l *listing, p location, typ uint8) (n *tree.Node, err error) {
	if excluded, err := w.excluded(l.scan, p, &typ); err != nil || excluded {
		return leftOut, err
	}
	if l.scan.Mounted == nil || typ != unix.DT_DIR {
		n, err = w.look(l.scan, p, typ)
	} else if err = stat(p.fd, p.ref, &w.st); err != nil {
		err = p.error("stat", err)
	}
	if err != nil || l.scan.Mounted == nil || !isMounted(&w.st, l.device) {
		return n, err
	}
	l.scan.Mounted(p.dir.below(p.name))
	if kindOf(w.st.Mode) == tree.Dir {
		return tree.NewDir(p.name, l.scan.Attr(hostOf(&w.st)), nil), nil
	}
	return leftOut, nil
}

// excluded reports whether the caller excludes a file. It looks up its type if the directory does not have it.
func (w *worker) excluded(sc *scan, p location, typ *uint8) (bool, error) {
	if sc.Exclude == nil {
		return false, nil
	}
	if *typ == unix.DT_UNKNOWN {
		if err := stat(p.fd, p.ref, &w.st); err != nil {
			return false, p.error("stat", err)
		}
		*typ = uint8(w.st.Mode & unix.S_IFMT >> 12) // the types of entries are those of modes
	}
	return sc.Exclude(p.dir.below(p.name), *typ == unix.DT_DIR), nil
}

// compact returns a directory without the places of the files that were left out.
func compact(dir *tree.Node) *tree.Node {
	nodes := slices.DeleteFunc(dir.Children(), func(n *tree.Node) bool { return n == nil })
	for i, n := range nodes {
		if n.Kind() == tree.Dir {
			nodes[i] = compact(n)
		}
	}
	return tree.NewDir(dir.Name, dir.Attr, nodes)
}
