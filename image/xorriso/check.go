package xorriso

import (
	"fmt"
	"strings"

	"imprint/internal/tree"
)

// Bounds of what an image carries so that Linux reads back what was put in.
const (
	maxName   = 253  // bytes: of longer names Linux' isofs sees a part (fs/isofs/rock.c, get_rock_ridge_filename)
	maxTarget = 1023 // bytes: libisofs takes no more
	maxPath   = 3500 // bytes, with a link's target: both fit one line that xorriso takes
)

// Times that a directory record can tell, whose year is one byte from 1900 on (ECMA-119, 9.1.5), as far as they are not before 1970.
const (
	minTime = 0
	maxTime = 5869583999 // 2155-12-31 23:59:59
)

// Check says what of a tree cannot be carried by Rock Ridge, or not by xorriso. The error names the path.
func Check(t *tree.Tree) error {
	for path, n := range t.Walk() {
		if err := checkNode(n); err != nil {
			return fmt.Errorf("%s: %v", path, err)
		}
		if l := quotedLen(path) + quotedLen(n.Target()); l > maxPath {
			return fmt.Errorf("%.80s…: path and link target of %d bytes, %d are possible in an ISO", path, l, maxPath)
		}
	}
	return nil
}

func checkNode(n *tree.Node) error {
	if l := len(n.Name); l > maxName {
		return fmt.Errorf("name of %d bytes, %d are possible in an ISO", l, maxName)
	}
	switch n.Kind() {
	case tree.File, tree.Dir:
	case tree.Symlink:
		if err := checkTarget(n.Target()); err != nil {
			return err
		}
	case tree.Link:
		return nil
	default:
		return fmt.Errorf("a %v cannot be in an ISO", n.Kind())
	}
	switch a := n.Attr; {
	case a.Mtime.Sec < minTime || a.Mtime.Sec > maxTime:
		return fmt.Errorf("time %d is none of an ISO's, %d to %d seconds since 1970", a.Mtime.Sec, minTime, maxTime)
	case len(a.Xattrs) > 0:
		return fmt.Errorf("extended attribute %q cannot be in an ISO", a.Xattrs[0].Name)
	}
	return nil
}

func checkTarget(target string) error {
	switch {
	case target == "":
		return fmt.Errorf("empty link target")
	case len(target) > maxTarget:
		return fmt.Errorf("link target of %d bytes, %d are possible in an ISO", len(target), maxTarget)
	case len(target) > 1 && strings.HasSuffix(target, "/"):
		return fmt.Errorf("link target %.80q ends in a slash, which is lost in an ISO", target)
	}
	for name := range strings.SplitSeq(target, "/") {
		if len(name) > maxName {
			return fmt.Errorf("name of %d bytes in the link target, %d are possible in an ISO", len(name), maxName)
		}
	}
	return nil
}
