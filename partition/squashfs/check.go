package squashfs

import (
	"archive/tar"
	"fmt"
	"slices"
	"strings"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// Magic is the first bytes of every file system (Linux, fs/squashfs/squashfs_fs.h).
const Magic = "hsqs"

// Sizes of a block, the unit of compression, in bytes.
const (
	MinBlock     = 4 * units.KiB
	DefaultBlock = 128 * units.KiB // sqfstar's
	MaxBlock     = units.MiB
)

// A Compressor is a compression that Linux can read and sqfstar can write.
type Compressor struct {
	Name   string
	Levels int64 // from 1 up to this one; 0 if there are none
}

// Compressors lists all compressors, the default first.
var Compressors = []Compressor{{"zstd", 22}, {"gzip", 9}, {"lz4", 0}, {"lzo", 9}, {"xz", 0}}

// maxTime is the last time that an inode can store: unsigned 32 bits of seconds since 1970.
const maxTime = 1<<32 - 1

// MaxFile is the size of the largest file in bytes, with its holes. The format has no such limit, but sqfstar looks at every block of a
// hole, and its inode has four bytes for each: with this size, minutes and 32 MiB.
const MaxFile = units.TiB

// xattrPrefixes are the kinds of extended attributes that have a number in the format (Linux, fs/squashfs/squashfs_fs.h).
var xattrPrefixes = []string{"user.", "trusted.", "security."}

// Limits of Linux for an extended attribute in bytes (limits.h).
const (
	maxXattrName  = 255
	maxXattrValue = 64 << 10
)

// Check returns an error with the path of a node that a file system of this package cannot hold.
func Check(t *tree.Tree) error {
	if err := checkRoot(t.Root().Attr); err != nil {
		return fmt.Errorf("/: %v", err)
	}
	for path, n := range t.Walk() {
		if err := checkNode(n.Inode()); err != nil {
			return fmt.Errorf("%s: %v", tree.Shown(path), err)
		}
	}
	return nil
}

var types = map[tree.Kind]byte{
	tree.File: tar.TypeReg, tree.Dir: tar.TypeDir, tree.Symlink: tar.TypeSymlink, tree.CharDevice: tar.TypeChar,
	tree.BlockDevice: tar.TypeBlock, tree.Fifo: tar.TypeFifo,
}

// checkNode returns an error for a node that the tar stream or the image cannot hold. Sockets are among them.
func checkNode(n *tree.Node) error {
	if _, ok := types[n.Kind()]; !ok {
		return fmt.Errorf("a %v cannot be in a tar archive", n.Kind())
	}
	if n.Kind() == tree.Symlink && (n.Target() == "" || strings.Contains(n.Target(), "\x00")) {
		return fmt.Errorf("link target %q is empty or has a NUL in it", n.Target())
	}
	if n.Kind() == tree.File && n.Size() > MaxFile {
		return fmt.Errorf("file of %s, of which %s are data, but sqfstar looks at every block of its holes: at most %s",
			units.FormatBytes(n.Size()), units.FormatBytes(dataSize(n.Blob())), units.FormatBytes(MaxFile))
	}
	return checkAttr(n.Attr)
}

// checkRoot returns an error for attributes of the root directory, which is not in the tar stream, that would not reach the image.
func checkRoot(a *tree.Attr) error {
	if len(a.Xattrs) > 0 {
		return fmt.Errorf("extended attribute %q: sqfstar stores none of the top directory", a.Xattrs[0].Name)
	}
	return checkTime(a.Mtime)
}

// checkTime returns an error for a time that an inode cannot hold.
func checkTime(t tree.Time) error {
	if t.Sec < 0 || t.Sec > maxTime {
		return fmt.Errorf("time %d is not between 0 and %d seconds since 1970, which squashfs can store", t.Sec, int64(maxTime))
	}
	return nil
}

// checkAttr returns an error for attributes that would not reach the image.
func checkAttr(a *tree.Attr) error {
	for _, x := range a.Xattrs {
		if err := checkXattr(x); err != nil {
			return err
		}
	}
	return checkTime(a.Mtime)
}

// checkXattr returns an error for an extended attribute that the format, or a pax record, does not have. Access control lists are among them.
func checkXattr(x tree.Xattr) error {
	prefixed := func(prefix string) bool { return strings.HasPrefix(x.Name, prefix) && x.Name != prefix }
	switch {
	case !slices.ContainsFunc(xattrPrefixes, prefixed):
		return fmt.Errorf("extended attribute %q, but squashfs stores only %s", x.Name, strings.Join(xattrPrefixes, ", "))
	case len(x.Name) > maxXattrName || len(x.Value) > maxXattrValue:
		return fmt.Errorf("extended attribute %.40q has a name of %d bytes and %d bytes, but Linux reads %d and %d",
			x.Name, len(x.Name), len(x.Value), maxXattrName, maxXattrValue)
	case strings.ContainsAny(x.Name, "=\x00"):
		return fmt.Errorf("extended attribute %q has a character in its name that a tar archive does not take", x.Name)
	}
	return nil
}

// hasXattrs reports whether any node has extended attributes.
func hasXattrs(t *tree.Tree) bool {
	for n := range t.Nodes() {
		if n.Kind() != tree.Link && len(n.Attr.Xattrs) > 0 {
			return true
		}
	}
	return false
}
