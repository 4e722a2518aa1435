package iso9660

import (
	"fmt"
	"math"
	"strings"

	"imprint/internal/tree"
)

// Limits within which Linux reads back what an image was given.
const (
	maxName  = 253              // bytes: isofs cuts longer names off (fs/isofs/rock.c, get_rock_ridge_filename)
	maxMajor = 1<<12 - 1        // of device numbers
	maxMinor = 1<<20 - 1        // likewise
	noID     = 1<<32 - 1        // stands for no user or group
	MaxFile  = 100 * maxSection // bytes: isofs takes no more sections (fs/isofs/inode.c, isofs_read_level3_size)
)

// maxSection is the largest section of a file in bytes: the length is a number of 32 bits, and a multiple of the block in all sections but
// the last (ECMA-119, 6.5.1).
const maxSection = 1<<32 - block

// Check returns an error if an image cannot hold the tree. The error names the path of the first node that it cannot. Nanoseconds of times
// are not an error, though an image does not keep them.
func Check(t *tree.Tree) error {
	if n, err := checkBelow(t.Root(), 0); err != nil {
		return fmt.Errorf("%s: %v", pathOf(t, n), err)
	}
	return nil
}

// pathOf returns the path of a node, for a message. It searches the tree: nodes do not know their paths.
func pathOf(t *tree.Tree, n *tree.Node) string {
	for path, other := range t.Walk() {
		if other == n {
			return tree.Shown(path)
		}
	}
	return ""
}

// checkBelow checks n and everything below it. With an error it returns the node that it concerns.
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

// checkNode returns an error for a node that an image cannot hold. A Link has only its name.
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

// checkName refuses names that Linux lists in another form, or lists but does not find: isofs_find_entry (fs/isofs/namei.c) takes a name
// of one byte for that of the directory itself unless the byte, as a signed number, is more than 1.
func checkName(name string) error {
	switch {
	case len(name) > maxName:
		return fmt.Errorf("name of %d bytes, an ISO holds %d", len(name), maxName)
	case len(name) == 1 && int8(name[0]) <= 1:
		return fmt.Errorf("name %q, of one byte, is one that Linux does not find in an ISO", name)
	}
	return nil
}

// checkTarget refuses targets that Linux reads as nothing or cut off. It reads all others as they are, slashes at the end included.
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

// checkDevice refuses numbers that Linux does not have, and those that it would take for another one (see appendPN).
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
		return fmt.Errorf("owner %d:%d, but %d is not an ID", a.UID, a.GID, uint32(noID))
	case len(a.Xattrs) > 0:
		return fmt.Errorf("extended attribute %q cannot be in an ISO", a.Xattrs[0].Name)
	}
	return nil
}
