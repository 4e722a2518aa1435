package iso9660

import (
	"fmt"
	"math"
	"strings"

	"imprint/internal/tree"
)

// Bounds of what an image carries so that Linux reads back what was put in.
const (
	maxName  = 253              // bytes: of longer names isofs sees a part (fs/isofs/rock.c, get_rock_ridge_filename)
	maxMajor = 1<<12 - 1        // of device numbers
	maxMinor = 1<<20 - 1        // likewise
	noID     = 1<<32 - 1        // stands for no user or group
	MaxFile  = 100 * maxSection // bytes: isofs takes no more sections (fs/isofs/inode.c, isofs_read_level3_size)
)

// maxSection is how many bytes a section of a file has at maxSection: a number of 32 bits, and a multiple of the block in all sections but the last
// (ECMA-119, 6.5.1).
const maxSection = 1<<32 - block

// Check reports what of a tree an image cannot carry. The error names the path. Nanoseconds of times are dropped without an error.
func Check(t *tree.Tree) error {
	if n, err := checkBelow(t.Root(), 0); err != nil {
		return fmt.Errorf("%s: %v", pathOf(t, n), err)
	}
	return nil
}

// pathOf finds the path of a node, for a message.
func pathOf(t *tree.Tree, n *tree.Node) string {
	for path, other := range t.Walk() {
		if other == n {
			return tree.Shown(path)
		}
	}
	return ""
}

// checkBelow checks n and all below it. It returns the node that an error is about.
func checkBelow(n *tree.Node, depth int) (*tree.Node, error) {
	if err := checkNode(n); err != nil {
		return n, err
	}
	if depth > maxDepth {
		return n, fmt.Errorf("directories nest deeper than %d", maxDepth)
	}
	for _, child := range n.Children() {
		if at, err := checkBelow(child, depth+1); err != nil {
			return at, err
		}
	}
	return nil, nil
}

func checkNode(n *tree.Node) error {
	if err := checkName(n.Name); err != nil {
		return err
	}
	switch n.Kind() {
	case tree.Link:
		return nil
	case tree.Symlink:
		if err := checkTarget(n.Target()); err != nil {
			return err
		}
	case tree.CharDevice, tree.BlockDevice:
		if err := checkDevice(n.Device()); err != nil {
			return err
		}
	case tree.File:
		if size := n.Size(); size > MaxFile {
			return fmt.Errorf("file of %d bytes, Linux reads %d from an ISO", size, int64(MaxFile))
		}
	}
	return checkAttr(n.Attr)
}

// checkName refuses names that Linux lists in another form, or not under the name that it lists: it takes a name of one byte, as a signed
// number, for that of the directory itself unless it is more than 1 (fs/isofs/namei.c, isofs_find_entry).
func checkName(name string) error {
	switch {
	case len(name) > maxName:
		return fmt.Errorf("name of %d bytes, an ISO holds %d", len(name), maxName)
	case len(name) == 1 && int8(name[0]) <= 1:
		return fmt.Errorf("name %q, of one byte, is one that Linux does not find in an ISO", name)
	}
	return nil
}

// checkTarget refuses targets that Linux reads as nothing or cut off; everything else it reads as it was, slashes at the end included.
func checkTarget(target string) error {
	switch {
	case target == "":
		return fmt.Errorf("empty link target")
	case len(target) > maxTarget:
		return fmt.Errorf("link target of %d bytes, Linux reads %d from an ISO", len(target), maxTarget)
	case strings.IndexByte(target, 0) >= 0:
		return fmt.Errorf("link target %.60q holds a NUL", target)
	}
	return nil
}

// checkDevice refuses what Linux has no number for, and what it takes for another one (see appendPN).
func checkDevice(d tree.Device) error {
	if d.Major > maxMajor || d.Minor > maxMinor {
		return fmt.Errorf("device number %d:%d, an ISO holds %d:%d", d.Major, d.Minor, maxMajor, maxMinor)
	}
	if d.Major == 0 && d.Minor > math.MaxUint8 {
		return fmt.Errorf("device number 0:%d, an ISO holds 0:%d", d.Minor, math.MaxUint8)
	}
	return nil
}

func checkAttr(a *tree.Attr) error {
	switch {
	case a.Mtime.Sec < minTime || a.Mtime.Sec > maxTime:
		return fmt.Errorf("time %d, an ISO holds %d to %d seconds since 1970", a.Mtime.Sec, minTime, maxTime)
	case a.UID == noID || a.GID == noID:
		return fmt.Errorf("owner %d:%d, %d is no ID", a.UID, a.GID, uint32(noID))
	case len(a.Xattrs) > 0:
		return fmt.Errorf("extended attribute %q cannot be in an ISO", a.Xattrs[0].Name)
	}
	return nil
}
