package ext4

import (
	"fmt"
	"math"
	"strings"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// measureNode checks that ext4 can hold a node, and counts its blocks.
func (c *inventory) measureNode(n *tree.Node, parent int32) error {
	if err := checkAttr(n.Attr); err != nil {
		return err
	}
	if len(n.Attr.Xattrs) > 0 {
		if err := c.xattrs.add(int32(n.ID()), n.Attr, c.blockSize); err != nil {
			return err
		}
	}
	switch n.Kind() {
	case tree.File:
		return c.measureFile(n)
	case tree.Dir:
		d := dir{id: int32(n.ID()), parent: parent}
		err := c.measureDir(&d)
		c.dirs = append(c.dirs, d)
		return err
	case tree.Symlink:
		return c.measureSymlink(n)
	case tree.CharDevice, tree.BlockDevice:
		return n.Device().Check()
	}
	return nil
}

// checkAttr returns an error for attributes that an inode cannot hold.
func checkAttr(a *tree.Attr) error {
	if err := a.Check(); err != nil {
		return err
	}
	if a.Mtime.Sec < minTime || a.Mtime.Sec > maxTime {
		return fmt.Errorf("time %d.%09d is not within %d and %d", a.Mtime.Sec, a.Mtime.Nsec, int64(minTime), int64(maxTime))
	}
	return nil
}

// maxFileBlocks is the largest number of blocks of a file, since extents count them in 32 bits. maxSectors32 is the largest number of sectors
// of 512 bytes that an inode can count without the feature huge_file, less a margin for the blocks of its extent tree.
const (
	maxFileBlocks = math.MaxUint32
	maxSectors32  = math.MaxUint32 - 1<<20
)

// MaxFile is the size of the largest file in bytes, with blocks of 4096 bytes.
const MaxFile = maxFileBlocks * 4096

// measureFile counts the blocks of a file's data. Its extent tree is counted when it is allocated, since the extents depend on the geometry.
func (c *inventory) measureFile(n *tree.Node) error {
	blob := n.Blob()
	if blob == nil {
		return fmt.Errorf("has no content")
	}
	if size := blob.Size(); size < 0 || size > maxFileBlocks*c.blockSize {
		return fmt.Errorf("%d bytes, a file can have %d", size, maxFileBlocks*c.blockSize)
	}
	blocks := units.Blocks(blob.Size(), c.blockSize)
	if sparse, ok := blob.(tree.SparseBlob); ok {
		runs, err := c.runs(sparse)
		if err != nil {
			return err
		}
		c.sparse, blocks = append(c.sparse, int32(n.ID())), 0
		for _, r := range runs {
			blocks += r.blocks
		}
	}
	if limit := maxSectors32 / (c.blockSize / 512); blocks > limit && !c.features.has(hugeFile) {
		return fmt.Errorf("%d blocks, a file without the feature huge_file can have %d", blocks, limit)
	}
	c.fileBlocks += blocks
	return nil
}

// runs returns the blocks of a sparse file that hold data.
func (c *inventory) runs(b tree.SparseBlob) (runs []run, err error) {
	end := int64(0)
	for _, d := range b.Data() {
		if d.Off < end || d.Len < 0 || d.Len > b.Size()-d.Off {
			return nil, fmt.Errorf("data of %d bytes at %d is out of order or not within the file's %d bytes", d.Len, d.Off, b.Size())
		}
		end = d.Off + d.Len
		if d.Len == 0 {
			continue
		}
		first, after := d.Off/c.blockSize, units.Blocks(end, c.blockSize)
		if k := len(runs) - 1; k >= 0 && runs[k].logical+runs[k].blocks >= first {
			runs[k].blocks = after - runs[k].logical
			continue
		}
		runs = append(runs, run{first, after - first})
	}
	return runs, nil
}

// fileRuns appends the runs of a measured file: one unless it is sparse, none if it is empty.
func (c *inventory) fileRuns(dst []run, n *tree.Node) []run {
	if sparse, ok := n.Blob().(tree.SparseBlob); ok {
		runs, _ := c.runs(sparse) // measureFile has reported the error
		return append(dst, runs...)
	}
	if blocks := units.Blocks(n.Size(), c.blockSize); blocks > 0 {
		return append(dst, run{0, blocks})
	}
	return dst
}

// fastSymlink is the length of the shortest target that does not fit into the inode: there, it ends with a NUL.
const fastSymlink = rootNodeSize

// measureSymlink checks the target, which must fit into the inode or into one block, there with a NUL.
func (c *inventory) measureSymlink(n *tree.Node) error {
	target := n.Target()
	if len(target) == 0 || int64(len(target)) >= c.blockSize {
		return fmt.Errorf("symlink target of %d bytes, 1 to %d are allowed", len(target), c.blockSize-1)
	}
	if strings.IndexByte(target, 0) >= 0 {
		return fmt.Errorf("symlink target %.60q holds a NUL", target)
	}
	if len(target) >= fastSymlink {
		c.slow = append(c.slow, int32(n.ID()))
	}
	return nil
}

// maxLinks is the largest link count of an inode (EXT4_LINK_MAX).
const maxLinks = 65000

// link counts one more name for the target of a Link.
func (c *inventory) link(id int32) error {
	to := c.tree.Node(int(id)).Inode().ID()
	c.ino[id] = c.ino[to]
	c.furtherOf[int32(to)]++
	if names := c.furtherOf[int32(to)] + 1; names > maxLinks {
		return fmt.Errorf("is name %d of %s, %d are allowed", names, pathOf(c.tree, int32(to)), maxLinks)
	}
	return nil
}
