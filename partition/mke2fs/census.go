package mke2fs

import (
	"fmt"

	"imprint/internal/tree"
	"imprint/internal/units"
)

const (
	blockSize   = 4096
	inodeSize   = 256
	fastSymlink = 59   // bytes of the longest target that is stored in the inode
	maxSymlink  = 4095 // bytes of a target
	maxLinks    = 65000
	dirSpace    = blockSize - 12 // bytes for entries in a block of a directory, before the checksum
	maxEntry    = 264            // bytes of the longest entry

	// The space that e2fsck leaves free in each leaf of an indexed directory, in percent (set in e2fsck.conf) and in bytes.
	dirSlack      = 10
	dirSlackBytes = dirSpace * dirSlack / 100

	firstInode = 11 // lost+found, the first that is not reserved
)

// A census is an upper bound of the inodes and blocks that a tree needs.
type census struct {
	inodes int64    // of the tree, without root and lost+found
	blocks int64    // of contents, directories, link targets and extended attributes
	links  []uint32 // by node ID: names of an inode; 0 for Link nodes
}

// survey counts what the tree needs. It returns an error, with the path, for a node that cannot be made.
func survey(t *tree.Tree) (census, error) {
	c := census{links: make([]uint32, t.Len())}
	for path, n := range t.Walk() {
		if err := checkNode(path, n); err != nil {
			return c, fmt.Errorf("plan ext4: %s: %v", tree.Shown(path), err)
		}
		inode := n.Inode()
		c.links[inode.ID()]++
		if c.links[inode.ID()] > maxLinks {
			return c, fmt.Errorf("plan ext4: %s: the file has more than %d names", tree.Shown(path), maxLinks)
		}
		if inode != n {
			continue
		}
		c.inodes++
		c.blocks += blocksOf(n)
	}
	c.inodes-- // the root has a reserved one
	if t.Find("/"+lostFound) != nil {
		c.inodes-- // and mke2fs makes lost+found
	}
	return c, nil
}

// blocksOf returns an upper bound of the blocks that an inode takes.
func blocksOf(n *tree.Node) int64 {
	blocks := xattrBlocks(n.Attr.Xattrs)
	switch n.Kind() {
	case tree.File:
		return blocks + fileBlocks(n.Blob())
	case tree.Dir:
		return blocks + dirBlocks(n)
	case tree.Symlink:
		if len(n.Target()) > fastSymlink {
			return blocks + 1
		}
	}
	return blocks
}

// fileBlocks counts the blocks that the data of a file touches, and those of its extent tree. debugfs does not store blocks of zeros; the
// holes make the extent tree larger, but by less than the blocks that they save.
func fileBlocks(b tree.Blob) int64 {
	var blocks, runs, end int64
	for _, r := range tree.DataOf(b) {
		first, after := r.Off/blockSize, units.Blocks(r.Off+r.Len, blockSize)
		if first > end || runs == 0 {
			runs++
		}
		first = max(first, end)
		blocks, end = blocks+max(0, after-first), max(end, after)
	}
	// Structures at the beginning of block groups interrupt a file: at most one every 1024 blocks, and then only a few in all.
	return blocks + extentBlocks(runs+blocks/1024)
}

// extentBlocks returns an upper bound of the blocks of an extent tree: four extents are in the inode, 340 in a full block, and libext2fs
// keeps blocks at least half full.
func extentBlocks(extents int64) int64 {
	total := int64(0)
	for extents > 4 {
		extents = units.Blocks(extents, 170)
		total += extents
	}
	return total
}

// dirBlocks returns an upper bound of the blocks of a directory, both as the list that debugfs makes and as the hash tree that e2fsck makes
// of it. Each block may be an extent of its own, since debugfs allocates blocks of the directory's files in between.
func dirBlocks(n *tree.Node) int64 {
	bytes, longest := int64(24), int64(0)
	for _, c := range n.Children() {
		bytes += entrySize(c.Name)
		longest = max(longest, entrySize(c.Name))
	}
	if n.Name == "" {
		bytes += entrySize(lostFound)
	}
	list := int64(1)
	if bytes > dirSpace {
		list = bytes/(dirSpace-longest) + 1
	}
	list += linkRoom(n)
	if list == 1 {
		return 1
	}
	leaves := bytes/(dirSpace-max(longest, dirSlackBytes)) + 1
	blocks := max(list, leaves+1+leaves/500)
	return blocks + extentBlocks(blocks)
}

// linkRoom returns the number of blocks to add to a directory for the names that debugfs's ln adds: unlike the other commands, ln does not
// extend a full directory.
func linkRoom(dir *tree.Node) int64 {
	bytes := int64(0)
	for _, c := range dir.Children() {
		if addedByLink(c) {
			bytes += entrySize(c.Name)
		}
	}
	if bytes == 0 {
		return 0
	}
	return bytes/(dirSpace-maxEntry) + 1
}

// addedByLink reports whether a name is added with ln to an existing inode: further names of a file, and sockets, which no command of debugfs
// creates.
func addedByLink(n *tree.Node) bool { return n.Kind() == tree.Link || n.Kind() == tree.Socket }

// entrySize returns the length of a directory entry in bytes.
func entrySize(name string) int64 { return 8 + units.Align(int64(len(name)), 4) }

const lostFound = "lost+found"
