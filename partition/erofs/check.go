package erofs

import (
	"fmt"
	"strings"

	"imprint/internal/tree"
)

// Check returns an error if EROFS cannot hold the tree. The error names the path of the first node that it cannot.
func Check(t *tree.Tree) error {
	for n := range t.Nodes() {
		if err := check(n); err != nil {
			return fmt.Errorf("%s: %v", pathOf(t, int32(n.ID())), err)
		}
	}
	return nil
}

// pathOf returns the path of a node, for a message. It searches the tree: nodes do not know their paths.
func pathOf(t *tree.Tree, id int32) string {
	for path, n := range t.Walk() {
		if n.ID() == int(id) {
			return tree.Shown(path)
		}
	}
	return ""
}

// maxTarget is the length in bytes of the longest symlink that the kernel follows: a page with the NUL at its end.
const maxTarget = blockSize - 1

// check returns an error for a node that EROFS cannot hold. A Link has nothing of its own.
func check(n *tree.Node) error {
	if n.Kind() == tree.Link {
		return nil
	}
	if err := checkAttr(n.Attr); err != nil {
		return err
	}
	switch n.Kind() {
	case tree.File:
		if n.Blob() == nil || n.Size() < 0 {
			return fmt.Errorf("is a file without content")
		}
		return checkData(n)
	case tree.Symlink:
		return checkTarget(n.Target())
	case tree.CharDevice, tree.BlockDevice:
		return n.Device().Check()
	}
	return nil
}

func checkAttr(a *tree.Attr) error {
	if err := a.Check(); err != nil {
		return err
	}
	return checkXattrs(a.Xattrs)
}

// checkData refuses a sparse file whose parts are out of order.
func checkData(n *tree.Node) error {
	end := int64(0)
	sparse, ok := n.Blob().(tree.SparseBlob)
	if !ok {
		return nil
	}
	for _, d := range sparse.Data() {
		if d.Off < end || d.Len < 0 || d.Len > n.Size()-d.Off {
			return fmt.Errorf("data of %d bytes at %d is out of order or not within the file's %d bytes", d.Len, d.Off, n.Size())
		}
		end = d.Off + d.Len
	}
	return nil
}

func checkTarget(target string) error {
	switch {
	case len(target) == 0 || len(target) > maxTarget:
		return fmt.Errorf("symlink target of %d bytes, 1 to %d are allowed", len(target), maxTarget)
	case strings.IndexByte(target, 0) >= 0:
		return fmt.Errorf("symlink target %.60q holds a NUL", target)
	}
	return nil
}
