package mke2fs

import (
	"fmt"

	"imprint/internal/units"
)

// A layout is the geometry that mke2fs is asked for. The computations follow lib/ext2fs/initialize.c of e2fsprogs, so that the number of free
// blocks is known before anything is made.
type layout struct {
	blocks   int64 // of the file system
	perGroup int64 // blocks in a block group
	inodes   int64 // at least this many
	journal  int64 // blocks
}

const (
	maxBlocks      = 1 << 32 // the limit of the feature resize_inode
	groupBlocks    = 8 * blockSize
	maxGroupInodes = 8 * blockSize // what a group's bitmap of inodes can count
	inodesPerBlock = blockSize / inodeSize
	descsPerBlock  = blockSize / 64
	lastGroupFree  = 50 // blocks that the last group must have beyond its own structures, or mke2fs drops it
	inodeRatio     = 16 << 10
	fixedBlocks    = 1 + 4 + 1 // root directory, lost+found, the resize inode's map
)

// fit returns the layout for what the tree needs and what should stay free. Without a size it is an upper bound, computed from what debugfs
// and e2fsck do; no tool runs.
func fit(c census, o Options) (layout, error) {
	inodes := firstInode + c.inodes + max(o.FreeInodes, o.Free/inodeRatio)
	need := c.blocks + units.Blocks(o.Free, blockSize)
	if inodes >= maxBlocks || need >= maxBlocks {
		return layout{}, fmt.Errorf("plan ext4: %d inodes and %d blocks, both must be below 2^32", inodes, need)
	}
	least, err := smallest(need, inodes)
	if err != nil || o.Size == 0 {
		return least, err
	}
	given := o.Size / blockSize
	if given < least.blocks {
		return least, &SizeError{Size: o.Size, Need: least.blocks * blockSize}
	}
	return roomy(least, need, given), nil
}

// smallest returns the smallest layout with room for need blocks and inodes.
func smallest(need, inodes int64) (layout, error) {
	l := layout{perGroup: groupBlocks, inodes: inodes, blocks: need + 2*minJournal}
	for l.blocks < maxBlocks {
		l.journal = journalFor(l.blocks)
		switch {
		case l.lacking(need) > 0:
			l.blocks += l.lacking(need)
		case l.inodesPerGroup() > maxGroupInodes:
			l.perGroup /= 2 // more inodes than blocks: smaller groups, so that there are enough bitmaps
		default:
			return l, nil
		}
	}
	return l, fmt.Errorf("plan ext4: more than 2^32 blocks of %d bytes are needed", blockSize)
}

// roomy returns the layout for a given size, with more inodes and a larger journal if there is room for them.
func roomy(least layout, need, blocks int64) layout {
	spare := blocks - least.blocks
	for _, journal := range []int64{journalFor(blocks), least.journal} {
		l := layout{blocks: blocks, perGroup: least.perGroup, inodes: least.inodes + spare*blockSize/inodeRatio, journal: journal}
		if last := blocks % l.perGroup; last > 0 && last < l.leastLastGroup() && blocks-last >= least.blocks {
			l.blocks -= last
		}
		if l.lacking(need) <= 0 && l.inodesPerGroup() <= maxGroupInodes {
			return l
		}
	}
	return least
}

// minJournal is the least number of blocks in a journal.
const minJournal = 1024

// journalFor returns the number of blocks in the journal: at most the default of mke2fs, and less in small file systems.
func journalFor(blocks int64) int64 {
	switch {
	case blocks < 1<<17: // 512 MiB
		return minJournal
	case blocks < 1<<20: // 4 GiB
		return 4 * minJournal
	}
	return 16 * minJournal
}

func (l layout) groups() int64 { return units.Blocks(l.blocks, l.perGroup) }

func (l layout) inodesPerGroup() int64 {
	return units.Align(units.Blocks(l.inodes, l.groups()), inodesPerBlock)
}

// copyBlocks returns the number of blocks in a copy of the superblock, including the group descriptors and those that resize_inode reserves:
// enough for 1024 times the size.
func (l layout) copyBlocks() int64 {
	largest := min(l.blocks*1024, maxBlocks-1)
	descs := units.Blocks(l.groups(), descsPerBlock)
	reserved := units.Blocks(units.Blocks(largest, l.perGroup), descsPerBlock) - descs
	return 1 + descs + min(max(0, reserved), blockSize/4)
}

// leastLastGroup returns the number of blocks with which mke2fs keeps the last group, whether it has a copy of the superblock or not.
func (l layout) leastLastGroup() int64 {
	return l.copyBlocks() + 2 + l.inodesPerGroup()/inodesPerBlock + lastGroupFree
}

// overhead returns the number of blocks that an empty file system uses, without the journal.
func (l layout) overhead() int64 {
	return l.groups()*(2+l.inodesPerGroup()/inodesPerBlock) + l.copies()*l.copyBlocks() + fixedBlocks
}

// lacking returns the number of blocks that the layout lacks; at most 0 if it is large enough.
func (l layout) lacking(need int64) int64 {
	// A few blocks for each group: its structures break files into more extents than planned.
	free := l.blocks - l.overhead() - 4*(l.groups()+1)
	// mke2fs refuses a journal that takes more than half of the blocks that are free at the time.
	lacking := max(need+l.journal, 2*l.journal) - free
	if last := l.blocks % l.perGroup; last > 0 && l.groups() > 1 {
		lacking = max(lacking, l.leastLastGroup()-last)
	}
	return lacking
}

// copies returns the number of groups with a copy of the superblock.
func (l layout) copies() int64 { return int64(len(l.copyGroups())) }

// copyGroups returns the groups with a copy of the superblock: 0, 1 and the powers of 3, 5 and 7 (sparse_super).
func (l layout) copyGroups() []int64 {
	last := l.groups() - 1
	list := []int64{0}
	if last >= 1 {
		list = append(list, 1)
	}
	for _, base := range []int64{3, 5, 7} {
		for g := base; g <= last; g *= base {
			list = append(list, g)
		}
	}
	return list
}
