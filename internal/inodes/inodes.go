// Package inodes adds to a tree that package hosttree has read what that ignores: hard links and extended attributes.
package inodes

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// Complete returns a tree like top, which was read from a directory of the host, in which further names of a file are links, and nodes have their extended
// attributes but those that the kernel derives (system.*) and labels of the host's security modules. Of all names of a file, the first in the order of a walk
// is the file. Names outside of the directory do not count.
//
// Errors are [*fs.PathError] with the host's path.
func Complete(path string, top *tree.Node) (*tree.Node, error) {
	c := &completion{first: map[inode]*tree.Node{}}
	return c.node(path, top)
}

type inode struct{ dev, ino uint64 }

type completion struct {
	first map[inode]*tree.Node
	buf   []byte
}

func (c *completion) node(path string, n *tree.Node) (*tree.Node, error) {
	var st unix.Stat_t
	if err := lstat(path, &st); err != nil {
		return nil, err
	}
	id := inode{uint64(st.Dev), st.Ino}
	if n.Kind() != tree.Dir && st.Nlink > 1 {
		if known := c.first[id]; known != nil {
			return tree.NewLink(n.Name, known), nil
		}
	}
	if err := c.xattrs(path, n); err != nil {
		return nil, err
	}
	if n.Kind() != tree.Dir {
		c.first[id] = n
		return n, nil
	}
	kids := slices.Clone(n.Children())
	for i, k := range kids {
		var err error
		if kids[i], err = c.node(tree.Join(path, k.Name), k); err != nil {
			return nil, err
		}
	}
	return tree.NewDir(n.Name, n.Attr, kids), nil
}

func lstat(path string, st *unix.Stat_t) error {
	for {
		switch err := unix.Lstat(path, st); err {
		case nil:
			return nil
		case unix.EINTR:
		default:
			return &fs.PathError{Op: "lstat", Path: tree.Shown(path), Err: err}
		}
	}
}

// xattrs gives a node its extended attributes.
func (c *completion) xattrs(path string, n *tree.Node) error {
	names, err := c.read(func(b []byte) (int, error) { return unix.Llistxattr(path, b) })
	if err != nil {
		return &fs.PathError{Op: "listxattr", Path: tree.Shown(path), Err: err}
	}
	if len(names) == 0 {
		return nil
	}
	a := *n.Attr
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		if !kept(name) {
			continue
		}
		value, err := c.read(func(b []byte) (int, error) { return unix.Lgetxattr(path, name, b) })
		if err != nil {
			return &fs.PathError{Op: "getxattr", Path: tree.Shown(path), Err: fmt.Errorf("%q: %w", name, err)}
		}
		a.Xattrs = append(a.Xattrs, tree.Xattr{Name: name, Value: value})
	}
	if len(a.Xattrs) > 0 {
		slices.SortFunc(a.Xattrs, func(x, y tree.Xattr) int { return strings.Compare(x.Name, y.Name) })
		n.Attr = &a
	}
	return nil
}

// kept reports whether an extended attribute is of the file and not of the host.
func kept(name string) bool {
	return strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "trusted.") || name == "security.capability"
}

// read calls a system call that fills a buffer, with one that is large enough. A file system without extended attributes has none.
func (c *completion) read(call func([]byte) (int, error)) ([]byte, error) {
	if c.buf == nil {
		c.buf = make([]byte, 64<<10) // the largest value, and the longest list (XATTR_SIZE_MAX and XATTR_LIST_MAX of linux/limits.h)
	}
	for {
		n, err := call(c.buf)
		switch {
		case err == nil:
			return slices.Clone(c.buf[:n]), nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENODATA), errors.Is(err, unix.EOPNOTSUPP):
			return nil, nil
		default:
			return nil, err
		}
	}
}
