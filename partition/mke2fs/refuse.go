package mke2fs

import (
	"fmt"
	"strings"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// Times that an inode of 256 bytes can hold, in seconds since 1970: 32 bits with sign and two bits above (kernel,
// Documentation/filesystems/ext4/inodes.rst, "Inode Timestamps"). These reach to 2446, but e2fsck takes times from 2310-04-04 on for times
// before 1970 that old kernels wrote wrongly, and changes them.
const (
	minTime = -1 << 31
	maxTime = 1<<33 + 1<<31 - 1
)

func validTime(t tree.Time) bool { return t.Sec >= minTime && t.Sec <= maxTime && t.Nsec < 1e9 }

// maxSubdirs is the limit of a directory's link count, which debugfs exceeds without an error.
const maxSubdirs = maxLinks - 2

// checkNode returns an error if an inode or a name cannot be made.
func checkNode(path string, n *tree.Node) error {
	if err := checkWord("name", n.Name); err != nil {
		return err
	}
	if n.Kind() == tree.Link {
		return nil
	}
	if path == "/"+lostFound && n.Kind() != tree.Dir {
		return fmt.Errorf("is a %v; mke2fs makes a directory there", n.Kind())
	}
	if !validTime(n.Attr.Mtime) {
		return fmt.Errorf("time %d.%09d is not between %d and %d seconds, which ext4 can store", n.Attr.Mtime.Sec, n.Attr.Mtime.Nsec, minTime, maxTime)
	}
	if err := checkXattrs(n.Attr.Xattrs); err != nil {
		return err
	}
	return checkBody(n)
}

// checkBody returns an error for a content, target or device number that ext4 or debugfs cannot handle.
func checkBody(n *tree.Node) error {
	switch n.Kind() {
	case tree.File:
		if n.Size() >= maxBlocks*blockSize {
			return fmt.Errorf("%d bytes, a file must be below %d", n.Size(), maxBlocks*blockSize)
		}
	case tree.Symlink:
		if l := len(n.Target()); l == 0 || l > maxSymlink {
			return fmt.Errorf("link target of %d bytes, 1 to %d are allowed", l, maxSymlink)
		}
		return checkWord("link target", n.Target())
	case tree.Dir:
		return checkSubdirs(n)
	case tree.CharDevice, tree.BlockDevice:
		return n.Device().Check()
	}
	return nil
}

func checkSubdirs(dir *tree.Node) error {
	subdirs := 0
	for _, c := range dir.Children() {
		if c.Kind() == tree.Dir {
			subdirs++
		}
	}
	if subdirs > maxSubdirs {
		return fmt.Errorf("%d subdirectories, %d are possible with debugfs", subdirs, maxSubdirs)
	}
	return nil
}

// checkWord returns an error if a word cannot be in a debugfs script. Lines end at a carriage return, a newline or a NUL and have at most 8191
// bytes (debugfs.c, source_file); everything else can be quoted.
func checkWord(what, word string) error {
	if i := strings.IndexAny(word, "\n\r\x00"); i >= 0 {
		return fmt.Errorf("%s has a %q, which a debugfs script cannot have", what, word[i])
	}
	if l := len(quote(word)); l > maxWord {
		return fmt.Errorf("%s takes %d bytes in a debugfs script, %d are allowed", what, l, maxWord)
	}
	return nil
}

// maxWord leaves room in a line for a command and a name of 255 quotes, each doubled.
const maxWord = 8191 - 600

// xattrPrefixes are the prefixes of extended attributes that ext4 stores as numbers (ext_attr.c of libext2fs, ea_names). Those without a dot
// at the end are whole names.
var xattrPrefixes = []string{"user.", "trusted.", "security.", "system.posix_acl_access", "system.posix_acl_default", "system."}

const (
	xattrHeader  = 16                       // bytes of an entry before its name
	xattrInInode = inodeSize - 128 - 32 - 8 // bytes for attributes after the inode's fields
	xattrInBlock = blockSize - 32 - 4       // bytes for attributes in the one block that an inode may have
)

func checkXattrs(list []tree.Xattr) error {
	for _, x := range list {
		if err := checkWord("name of an extended attribute", x.Name); err != nil {
			return err
		}
		if name, ok := xattrName(x.Name); !ok || len(name) > 255 {
			return fmt.Errorf("extended attribute %q: ext4 cannot store names with this prefix", x.Name)
		}
	}
	if size := xattrSize(list); size > xattrInBlock {
		return fmt.Errorf("extended attributes of %d bytes, a block has room for %d", size, xattrInBlock)
	}
	return nil
}

// xattrName returns a name without its prefix.
func xattrName(name string) (string, bool) {
	for _, prefix := range xattrPrefixes {
		if rest, ok := strings.CutPrefix(name, prefix); ok && (rest != "") == strings.HasSuffix(prefix, ".") {
			return rest, true
		}
	}
	return "", false
}

// xattrSize returns the number of bytes that attributes take as ext4 stores them, without headers and the end mark.
func xattrSize(list []tree.Xattr) int64 {
	size := int64(0)
	for _, x := range list {
		name, _ := xattrName(x.Name)
		size += xattrHeader + units.Align(int64(len(name)), 4) + units.Align(int64(len(x.Value)), 4)
	}
	return size
}

func xattrBlocks(list []tree.Xattr) int64 {
	if xattrSize(list) > xattrInInode {
		return 1
	}
	return 0
}
