package ext4

// Group descriptors (kernel: "Block Group Descriptors") and the two bitmaps of each group.

// Flags of a group, which need checksums to be believed.
const (
	inodeUninit = 1 // no inode is in use, and the bitmap is not written
	blockUninit = 2 // no block is in use but for the group's own structures, and the bitmap is not written
	inodeZeroed = 4 // unused inodes are all zeros
)

// usedInodes is how many inodes of a group are in use: they are given from the first on.
func (p *Plan) usedInodes(group int64) int64 {
	return max(0, min(p.g.inodesPerGroup, p.inodes()-group*p.g.inodesPerGroup))
}

// tapeOf gives the part of the tape that lies in a group.
func (p *Plan) tapeOf(group int64) (from, to int64) {
	start := p.g.groupStart(group)
	return p.g.tape.position(start), p.g.tape.position(start + p.g.groupBlocks(group))
}

// flags are a group's flags. The last group has its bitmap always, since it ends with padding.
func (p *Plan) flags(group int64) (flags uint16) {
	if !p.features.has(metadataCsum) {
		return 0
	}
	flags = inodeZeroed
	if p.usedInodes(group) == 0 {
		flags |= inodeUninit
	}
	from, to := p.tapeOf(group)
	if from >= p.sections.end && group < p.g.groups-1 && p.g.groupBlocks(group)-(to-from) == p.ownBlocks(group) {
		flags |= blockUninit
	}
	return flags
}

// ownBlocks is how many blocks the structures take that a reader expects in a group whose bitmap is not written.
func (p *Plan) ownBlocks(group int64) (blocks int64) {
	if hasSuper(group) {
		blocks = p.g.superBlocks()
	}
	if !p.features.has(flexBG) {
		blocks += 2 + p.g.tableBlocks()
	}
	return blocks
}

// putDescriptor writes a group's descriptor into 32 or 64 bytes of zeros.
func (p *Plan) putDescriptor(b []byte, group int64) {
	at, sums, flags := p.g.group[group], p.bitmapSums()[group], p.flags(group)
	from, to := p.tapeOf(group)
	free := max(0, to-max(from, p.sections.end))
	unused := p.g.inodesPerGroup - p.usedInodes(group)
	put16 := func(lo, hi int, v uint32) {
		le.PutUint16(b[lo:], uint16(v))
		if len(b) > hi {
			le.PutUint16(b[hi:], uint16(v>>16))
		}
	}
	for i, block := range [...]int64{at.blockBitmap, at.inodeBitmap, at.inodeTable} {
		le.PutUint32(b[4*i:], uint32(block))
		if len(b) > 0x20 {
			le.PutUint32(b[0x20+4*i:], uint32(block>>32))
		}
	}
	put16(0x0c, 0x2c, uint32(free))
	put16(0x0e, 0x2e, uint32(unused))
	put16(0x10, 0x30, p.dirsIn[group])
	le.PutUint16(b[0x12:], flags)
	if !p.features.has(metadataCsum) {
		return
	}
	put16(0x18, 0x38, sums.block)
	put16(0x1a, 0x3a, sums.inode)
	put16(0x1c, 0x32, uint32(unused))
	le.PutUint16(b[0x1e:], uint16(p.sum.over32(uint32(group)).over(b)))
}

// bitmapSum are the checksums of a group's bitmaps; 0 for one that is not written.
type bitmapSum struct{ block, inode uint32 }

// sumBitmaps computes the checksums of all bitmaps. They are in every copy of the descriptors.
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

// putBlockBitmap writes a group's block bitmap into a block of zeros, or says that there is none.
func (p *Plan) putBlockBitmap(b []byte, group int64) bool {
	if p.flags(group)&blockUninit != 0 {
		return false
	}
	start, blocks := p.g.groupStart(group), p.g.groupBlocks(group)
	for a := range p.g.tape.areas(start, start+blocks) {
		setBits(b, max(0, a.start-start), min(blocks, a.end-start))
	}
	setBits(b, 0, min(blocks, p.usedEnd-start))
	setBits(b, blocks, p.blockSize*8)
	return true
}

// putInodeBitmap writes a group's inode bitmap into a block of zeros, or says that there is none.
func (p *Plan) putInodeBitmap(b []byte, group int64) bool {
	if p.flags(group)&inodeUninit != 0 {
		return false
	}
	setBits(b, 0, p.usedInodes(group))
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

// countDirs gives the number of directories in each group.
func (p *Plan) countDirs() []uint32 {
	counts := make([]uint32, p.g.groups)
	for _, d := range p.dirs {
		counts[int64(p.ino[d.id]-1)/p.g.inodesPerGroup]++
	}
	return counts
}
