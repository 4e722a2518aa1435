package ext4

// Group descriptors (kernel: "Block Group Descriptors") and the two bitmaps of each group.

// Flags of a group. Readers trust them only with checksums.
const (
	inodeUninit = 1 // no inode is in use and the bitmap is not written
	blockUninit = 2 // no block is in use except the group's own structures, and the bitmap is not written
	inodeZeroed = 4 // unused inodes are all zeros
)

// A groupInodes counts inodes of a group.
type groupInodes struct {
	used uint32
	end  uint32 // after the last one in use; the table is not written from there on
	dirs uint32
}

// countInodes counts the inodes of each group.
func (p *Plan) countInodes() []groupInodes {
	counts := make([]groupInodes, p.g.groups)
	add := func(index int64) {
		g := &counts[index/p.g.inodesPerGroup]
		g.used, g.end = g.used+1, uint32(index%p.g.inodesPerGroup)+1
	}
	for index := range int64(firstInode - 1) {
		add(index)
	}
	for i, id := range p.nodes {
		if id != freeInode {
			add(firstInode - 1 + int64(i))
		}
	}
	for _, d := range p.dirs {
		counts[int64(p.ino[d.id]-1)/p.g.inodesPerGroup].dirs++
	}
	return counts
}

// tapeOf returns the tape positions [from, to) of the blocks in a group.
func (p *Plan) tapeOf(group int64) (from, to int64) {
	start := p.g.groupStart(group)
	return p.g.tape.position(start), p.g.tape.position(start + p.g.groupBlocks(group))
}

// flags returns a group's flags. The bitmap of the last group is always written, since it has padding after the last block.
func (p *Plan) flags(group int64) (flags uint16) {
	if !p.features.has(metadataCsum) {
		return 0
	}
	flags = inodeZeroed
	if p.inodesIn[group].used == 0 {
		flags |= inodeUninit
	}
	from, to := p.tapeOf(group)
	if p.usedIn(from, to) == 0 && group < p.g.groups-1 && p.g.groupBlocks(group)-(to-from) == p.ownBlocks(group) {
		flags |= blockUninit
	}
	return flags
}

// ownBlocks returns the number of blocks that a reader takes to be in use in a group whose bitmap is not written.
func (p *Plan) ownBlocks(group int64) (blocks int64) {
	if hasSuper(group) {
		blocks = p.g.superBlocks()
	}
	if !p.features.has(flexBG) {
		blocks += 2 + p.g.tableBlocks()
	}
	return blocks
}

// A groupDescriptor has the fields of struct ext4_group_desc in their order (kernel: "Block Group Descriptors"). Without the feature 64bit it
// ends before the first Hi.
type groupDescriptor struct {
	BlockBitmapLo, InodeBitmapLo, InodeTableLo uint32
	FreeBlocksCountLo, FreeInodesCountLo       uint16
	UsedDirsCountLo, Flags                     uint16
	ExcludeBitmapLo                            uint32
	BlockBitmapCsumLo, InodeBitmapCsumLo       uint16
	ItableUnusedLo, Checksum                   uint16
	BlockBitmapHi, InodeBitmapHi, InodeTableHi uint32
	FreeBlocksCountHi, FreeInodesCountHi       uint16
	UsedDirsCountHi, ItableUnusedHi            uint16
	ExcludeBitmapHi                            uint32
	BlockBitmapCsumHi, InodeBitmapCsumHi       uint16
	Reserved                                   uint32
}

// groupNames are the fields in their order, without the prefix bg_.
const groupNames = `block_bitmap_lo inode_bitmap_lo inode_table_lo free_blocks_count_lo free_inodes_count_lo used_dirs_count_lo flags
exclude_bitmap_lo block_bitmap_csum_lo inode_bitmap_csum_lo itable_unused_lo checksum block_bitmap_hi inode_bitmap_hi inode_table_hi
free_blocks_count_hi free_inodes_count_hi used_dirs_count_hi itable_unused_hi exclude_bitmap_hi block_bitmap_csum_hi
inode_bitmap_csum_hi reserved`

// fields codes all 64 bytes.
func (d *groupDescriptor) fields(c *codec) {
	c.u32(&d.BlockBitmapLo, &d.InodeBitmapLo, &d.InodeTableLo)
	c.u16(&d.FreeBlocksCountLo, &d.FreeInodesCountLo, &d.UsedDirsCountLo, &d.Flags)
	c.u32(&d.ExcludeBitmapLo)
	c.u16(&d.BlockBitmapCsumLo, &d.InodeBitmapCsumLo, &d.ItableUnusedLo, &d.Checksum)
	c.u32(&d.BlockBitmapHi, &d.InodeBitmapHi, &d.InodeTableHi)
	c.u16(&d.FreeBlocksCountHi, &d.FreeInodesCountHi, &d.UsedDirsCountHi, &d.ItableUnusedHi)
	c.u32(&d.ExcludeBitmapHi)
	c.u16(&d.BlockBitmapCsumHi, &d.InodeBitmapCsumHi)
	c.u32(&d.Reserved)
}

// decode reads the descriptor from 32 or more bytes; fields after the end are 0.
func (d *groupDescriptor) decode(b []byte) {
	var whole [64]byte
	copy(whole[:], b)
	d.fields(&codec{whole[:], false})
}

// encode writes the descriptor into b, of 32 or 64 bytes, with a checksum that continues sum unless that is nil.
func (d *groupDescriptor) encode(b []byte, sum *checksum) {
	var whole [64]byte
	d.fields(&codec{whole[:], true})
	copy(b, whole[:])
	if sum != nil {
		le.PutUint16(b[0x1e:], uint16(sum.over(b)))
	}
}

// descriptor returns the descriptor of a group, without its checksum.
func (p *Plan) descriptor(group int64) *groupDescriptor {
	at := p.g.group[group]
	from, to := p.tapeOf(group)
	free := to - from - p.usedIn(from, to)
	in := p.inodesIn[group]
	freeInodes, unused := p.g.inodesPerGroup-int64(in.used), p.g.inodesPerGroup-int64(in.end)
	d := &groupDescriptor{
		BlockBitmapLo: uint32(at.blockBitmap), BlockBitmapHi: uint32(at.blockBitmap >> 32),
		InodeBitmapLo: uint32(at.inodeBitmap), InodeBitmapHi: uint32(at.inodeBitmap >> 32),
		InodeTableLo: uint32(at.inodeTable), InodeTableHi: uint32(at.inodeTable >> 32),
		FreeBlocksCountLo: uint16(free), FreeBlocksCountHi: uint16(free >> 16),
		FreeInodesCountLo: uint16(freeInodes), FreeInodesCountHi: uint16(freeInodes >> 16),
		UsedDirsCountLo: uint16(in.dirs), UsedDirsCountHi: uint16(in.dirs >> 16),
		Flags: p.flags(group),
	}
	if p.features.has(metadataCsum) {
		sums := p.bitmapSums()[group]
		d.BlockBitmapCsumLo, d.BlockBitmapCsumHi = uint16(sums.block), uint16(sums.block>>16)
		d.InodeBitmapCsumLo, d.InodeBitmapCsumHi = uint16(sums.inode), uint16(sums.inode>>16)
		d.ItableUnusedLo, d.ItableUnusedHi = uint16(unused), uint16(unused>>16)
	}
	return d
}

// putDescriptor writes a group's descriptor into 32 or 64 bytes.
func (p *Plan) putDescriptor(b []byte, group int64) {
	var sum *checksum
	if p.features.has(metadataCsum) {
		c := p.sum.over32(uint32(group))
		sum = &c
	}
	p.descriptor(group).encode(b, sum)
}

// A bitmapSum is the checksums of a group's bitmaps; 0 for one that is not written.
type bitmapSum struct{ block, inode uint32 }

// sumBitmaps computes the checksums of all bitmaps, once, since every copy of the descriptors has them.
func (p *Plan) sumBitmaps() []bitmapSum {
	sums := make([]bitmapSum, p.g.groups)
	if !p.features.has(metadataCsum) {
		return sums
	}
	b := make([]byte, p.blockSize)
	for group := range p.g.groups {
		clear(b)
		if p.putBlockBitmap(b, group) {
			sums[group].block = uint32(p.sum.over(b[:p.g.perGroup/8]))
		}
		clear(b)
		if p.putInodeBitmap(b, group) {
			sums[group].inode = uint32(p.sum.over(b[:p.g.inodesPerGroup/8]))
		}
	}
	return sums
}

// putBlockBitmap writes a group's block bitmap into a block of zeros. It returns false if the bitmap is not written.
func (p *Plan) putBlockBitmap(b []byte, group int64) bool {
	if p.flags(group)&blockUninit != 0 {
		return false
	}
	start, blocks := p.g.groupStart(group), p.g.groupBlocks(group)
	for a := range p.g.tape.areas(start, start+blocks) {
		setBits(b, max(0, a.start-start), min(blocks, a.end-start))
	}
	from, to := p.tapeOf(group)
	for _, s := range p.usedFrom(from) {
		for at, end := max(s.From, from), min(s.To, to); at < end; {
			block, n := p.g.tape.physical(at)
			n = min(n, end-at)
			setBits(b, block-start, block-start+n)
			at += n
		}
		if s.To >= to {
			break
		}
	}
	setBits(b, blocks, p.blockSize*8)
	return true
}

// putInodeBitmap writes a group's inode bitmap into a block of zeros. It returns false if the bitmap is not written.
func (p *Plan) putInodeBitmap(b []byte, group int64) bool {
	if p.flags(group)&inodeUninit != 0 {
		return false
	}
	first := group * p.g.inodesPerGroup
	for i := range int64(p.inodesIn[group].end) {
		if n := first + i - (firstInode - 1); n < 0 || p.nodes[n] != freeInode {
			setBits(b, i, i+1)
		}
	}
	setBits(b, p.g.inodesPerGroup, p.blockSize*8)
	return true
}

// setBits sets bits [from, to), counted from the lowest one of the first byte.
func setBits(b []byte, from, to int64) {
	for ; from < to && from%8 != 0; from++ {
		b[from/8] |= 1 << (from % 8)
	}
	for ; from+8 <= to; from += 8 {
		b[from/8] = 0xff
	}
	for ; from < to; from++ {
		b[from/8] |= 1 << (from % 8)
	}
}
