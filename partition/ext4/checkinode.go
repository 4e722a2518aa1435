package ext4

import (
	"bytes"
	"fmt"

	"imprint/internal/tree"
)

// checkInodes checks the inodes of a group, and compares them with the group's bitmap and counts.
func (c *checker) checkInodes(group int64) {
	d, _, err := c.descriptor(c.w, group)
	if err != nil || c.checkBlocks(d.inodeTable(), c.tableBlocks()) != nil {
		return // the check of the descriptor has reported it
	}
	flags, at := c.flagsOf(&d), c.descriptorAt(group)
	scan := c.inodesPerGroup
	switch unused := int64(d.ItableUnusedLo) | int64(d.ItableUnusedHi)<<16; {
	case unused > scan || unused > 0 && !c.groupChecksums():
		c.fault(at, groupObject(group), "bg_itable_unused is %d of %d inodes", unused, scan)
	default:
		scan -= unused
	}
	if flags&inodeUninit != 0 {
		scan = 0
	}
	dirs := int64(len(c.dirs)) // before this group
	for i := range scan {
		number := uint32(group*c.inodesPerGroup+i) + 1
		where := d.inodeTable()*c.blockSize + i*c.inodeBytes
		if b := c.read(where, c.inodeBytes, func() string { return fmt.Sprintf("inode %d", number) }); b != nil && !zeroBytes(b) {
			c.checkInode(number, where, b)
		}
	}
	if dirs, said := int64(len(c.dirs))-dirs, int64(d.UsedDirsCountLo)|int64(d.UsedDirsCountHi)<<16; dirs != said {
		c.mismatch(at, groupObject(group), "bg_used_dirs_count", said, dirs)
	}
	c.checkInodeBitmap(group, &d)
}

// An inodeCheck is the check of one inode.
type inodeCheck struct {
	*checker
	number uint32
	at     int64 // offset in bytes of the inode
	b      []byte
	inode

	clusters    int64 // counted for i_blocks
	lastCluster int64 // the last one of content that was counted; a cluster may hold several runs
	end         int64 // block of the file after the last one that is mapped
	written     int64 // the same for blocks that were written; -1 if there are none
}

func (c *inodeCheck) fault(format string, args ...any) { c.inodeFault(c.number, c.at, format, args...) }

// knownFlags are the bits of i_flags that have a meaning in Linux.
const knownFlags = 0x0000ffff | 0x10000 | 0x20000 | hugeFileFlag | extentsFlag | verityFlag | eaInodeFlag | 0x400000 | 0x800000 | 0x1000000 |

	0x2000000 | 0x4000000 | 0x8000000 | inlineFlag | 0x20000000 | casefoldFlag

// checkInode checks an inode that is not all zeros.
func (k *checker) checkInode(number uint32, at int64, b []byte) {
	c := &inodeCheck{checker: k, number: number, at: at, b: b, inode: k.decodeInode(b), lastCluster: -1, written: -1}
	if c.features.has(metadataCsum) {
		if has, want := c.inodeChecksum(b, number, &c.inode); has != want {
			c.fault("checksum 0x%08x does not match its bytes, which have 0x%08x", has, want)
		}
	}
	switch orphan := c.orphans[number]; {
	case int64(number) < c.firstFree && number != rootInode:
		c.checkReserved()
		return
	case c.LinksCount == 0 && !orphan:
		c.checkDeleted()
		return
	case c.Dtime != 0 && !orphan:
		c.fault("is in use, and i_dtime is %d", c.Dtime)
	}
	c.checkUsed()
}

// checkDeleted checks the time of deletion of an inode that is not in use. The number of an inode in its place would make it part of the list
// of orphans, in which it is not.
func (c *inodeCheck) checkDeleted() {
	switch {
	case c.Mode != 0 && c.Dtime == 0:
		c.fault("is deleted, and i_dtime is 0")
	case c.Dtime != 0 && int64(c.Dtime) < c.frame.inodes() && int64(c.super.MakeTime) > c.frame.inodes():
		c.fault("is deleted, and i_dtime is %d, the number of an inode", c.Dtime)
	}
}

// checkUsed checks an inode in use.
func (c *inodeCheck) checkUsed() {
	kind, ok := c.kind()
	state := c.states.get(int64(c.number))
	*state = inodeState{kind: 0xff, links: c.LinksCount}
	c.inUse = append(c.inUse, c.number)
	if !ok {
		c.fault("mode %#o has no known type", c.Mode)
		return
	}
	state.kind = entryTypes[kind]
	switch {
	case c.Flags&eaInodeFlag != 0:
		state.marks |= valueMark
	case c.LinksCount == 0, c.number == c.super.OrphanFile && c.features.has(orphanFile), c.number == c.super.ProjectQuota && c.features.has(project):
		state.marks |= hiddenMark
	}
	c.checkFields(kind)
	c.checkXattrs()
	switch kind {
	case tree.Dir:
		c.dirs = append(c.dirs, c.number)
		c.checkMap(kind)
	case tree.File:
		c.checkMap(kind)
	case tree.Symlink:
		c.checkSymlink()
	default:
		c.checkSpecial(kind)
	}
	c.checkSectors()
}

// checkFields checks the fields of an inode that need no other structure.
func (c *inodeCheck) checkFields(kind tree.Kind) {
	has, extra := c.features.has, c.extra(c.b)
	for _, bad := range [...]struct {
		bad  bool
		text string
	}{
		{extra != 0 && (extra < 4 || extra%4 != 0 || extra > c.inodeBytes-oldInode), "i_extra_isize has an impossible value"},
		{c.Flags&^knownFlags != 0, "i_flags has unknown bits"},
		{c.Flags&extentsFlag != 0 && !has(extentMapped), "i_flags says extents without the feature"},
		{c.Flags&inlineFlag != 0 && (!has(inlineData) || c.Flags&extentsFlag != 0), "i_flags says inline content without the feature or with extents"},
		{c.Flags&indexFlag != 0 && (kind != tree.Dir || !has(dirIndex) || c.Flags&inlineFlag != 0), "i_flags says index, which it cannot have"},
		{c.Flags&encryptFlag != 0 && !has(encrypt), "i_flags says encrypted without the feature"},
		{c.Flags&verityFlag != 0 && (!has(verity) || kind != tree.File), "i_flags says verity, which it cannot have"},
		{c.Flags&casefoldFlag != 0 && (!has(casefold) || kind != tree.Dir), "i_flags says casefold, which it cannot have"},
		{c.Flags&eaInodeFlag != 0 && (!has(eaInode) || kind != tree.File), "i_flags says attribute value, which it cannot have"},
		{c.Flags&hugeFileFlag != 0 && !has(hugeFile), "i_flags counts blocks without the feature huge_file"},
		{c.Reserved != 0, "l_i_reserved is not zero"},
		{c.ObsoFaddr != 0, "i_obso_faddr is not zero"},
		{c.FileACLHigh != 0 && !has(bit64), "l_i_file_acl_high is not zero without 64bit"},
		{c.BlocksHigh != 0 && !has(hugeFile), "l_i_blocks_high is not zero without huge_file"},
		{kind == tree.Dir && c.SizeHigh != 0 && !has(largeDir), "i_size_high of a directory is not zero"},
		{kind == tree.File && c.size() >= 1<<31 && !has(largeFile), "i_size is over 2 GiB without large_file"},
		{extra >= 8 && c.MtimeExtra>>2 >= 1e9, "i_mtime_extra has too many nanoseconds"},
		{extra >= 12 && c.AtimeExtra>>2 >= 1e9 && c.Flags&eaInodeFlag == 0, "i_atime_extra has too many nanoseconds"},
	} {
		if bad.bad {
			c.fault("%s (flags 0x%x, size %d, extra %d)", bad.text, c.Flags, uint64(c.size()), extra)
		}
	}
}

// checkSpecial checks a device, a fifo or a socket, which have no content.
func (c *inodeCheck) checkSpecial(kind tree.Kind) {
	rest := c.Block[:]
	if kind == tree.CharDevice || kind == tree.BlockDevice {
		if le.Uint32(rest) == 0 == (le.Uint32(rest[4:]) == 0) && !zeroBytes(rest[:8]) {
			c.fault("device number in both forms")
		}
		rest = rest[8:]
	}
	if !zeroBytes(rest) || c.size() != 0 || c.Flags&(extentsFlag|inlineFlag) != 0 {
		c.fault("a %v with a content of %d bytes, flags 0x%x or blocks", kind, c.size(), c.Flags)
	}
}

// checkSymlink checks where the target of a symlink lies, and its length.
func (c *inodeCheck) checkSymlink() {
	size := c.size()
	switch {
	case c.Flags&encryptFlag != 0: // an encrypted target cannot be checked
		if !c.fast(&c.inode) {
			c.checkMap(tree.Symlink)
		}
		return
	case c.Flags&inlineFlag != 0:
		c.checkInline()
		return
	case c.fast(&c.inode):
		if n := bytes.IndexByte(c.Block[:], 0); int64(n) != size || size == 0 {
			c.fault("symlink target of %d bytes, i_size is %d", n, size)
		}
		return
	}
	c.checkMap(tree.Symlink)
	m := &fileMap{fs: &c.frame, root: c.Block, extents: c.Flags&extentsFlag != 0, read: c.readBlock}
	run, err := m.locate(0)
	if err != nil || run.physical == hole {
		c.fault("symlink target has no block")
		return
	}
	if b := c.checker.read(run.physical*c.blockSize, c.blockSize, func() string { return "symlink" }); b != nil {
		if n := bytes.IndexByte(b, 0); int64(n) != size || c.end != 1 {
			c.fault("symlink target of %d bytes in %d blocks, i_size is %d", n, c.end, size)
		}
	}
}

// readBlock reads a block of a map that has been checked.
func (c *checker) readBlock(block int64) ([]byte, error) {
	return c.w.read(block*c.blockSize, c.blockSize)
}

// checkInline checks that inline content has room.
func (c *inodeCheck) checkInline() {
	rest, err := c.inlineRest(c.b)
	if room := int64(len(c.Block) + len(rest)); err != nil || c.size() > room || c.size() < 0 {
		c.fault("inline content of %d bytes, there is room for %d", c.size(), room)
	}
}

// checkSectors compares i_blocks with the blocks that were found.
func (c *inodeCheck) checkSectors() {
	if want := c.clusters * c.ratio * (c.blockSize / 512); c.sectors(&c.inode) != want {
		c.fault("i_blocks is %d sectors, %d are in use", c.sectors(&c.inode), want)
	}
}

// checkReserved checks a reserved inode other than the root.
func (c *inodeCheck) checkReserved() {
	used := !zeroBytes(c.Block[:]) || c.size() != 0 || c.BlocksLo != 0
	switch {
	case c.number == 1: // the bad blocks
		c.checkBlockMap()
		return
	case c.number == resizeInodeNr && c.features.has(resizeInode):
		c.checkResize()
		return
	case c.number == journalInode && c.features.has(hasJournal) && c.super.JournalInode == journalInode:
		c.checkJournal()
		return
	case !used && c.Mode&0xf000 == 0:
		return
	case c.number == journalInode || c.number == resizeInodeNr:
		c.fault("is in use without the feature that it belongs to")
	}
	if kind, ok := c.kind(); !ok || kind != tree.File {
		c.fault("reserved inode with mode %#o", c.Mode)
		return
	}
	c.checkFields(tree.File)
	c.checkXattrs()
	c.checkMap(tree.File)
	c.checkSectors()
}
