package ext4

import (
	"fmt"
	"math/bits"
)

// bitmap reads a bitmap and checks its checksum and its padding; nil if it cannot be read.
func (c *checker) bitmap(group, block, bits int64, has uint32, kind claimKind) []byte {
	object := func() string { return fmt.Sprintf("%s of group %d", ownNames[kind], group) }
	at := block * c.blockSize
	if c.checkBlocks(block, 1) != nil {
		return nil // read has reported it
	}
	b := c.read(at, c.blockSize, object)
	if b == nil {
		return nil
	}
	// The checksum covers the bits of a full group, even in the last one, and descriptors of 32 bytes hold half of it.
	if c.features.has(metadataCsum) {
		used := c.perGroup / c.ratio
		if kind == inodeBitmapClaim {
			used = c.inodesPerGroup
		}
		want := uint32(c.seed.over(b[:used/8]))
		if c.descBytes < 64 {
			want &= 0xffff
		}
		if has != want {
			c.fault(at, object(), "checksum 0x%08x does not match its bytes, which have 0x%08x", has, want)
		}
	}
	if i := firstClear(b, bits); i < 8*c.blockSize {
		c.fault(at+i/8, object(), "padding bit %d is not set", i)
	}
	return b
}

// firstClear returns the first bit of a bitmap from a bit on that is not set.
func firstClear(b []byte, from int64) int64 {
	for i := from; i < int64(8*len(b)); i++ {
		if i%8 == 0 && b[i/8] == 0xff {
			i += 7
		} else if b[i/8]>>(i%8)&1 == 0 {
			return i
		}
	}
	return int64(8 * len(b))
}

// checkBlockBitmap compares a group's block bitmap and count with the blocks that were found in use.
func (c *checker) checkBlockBitmap(group int64) {
	d, _, err := c.descriptor(c.w, group)
	if err != nil {
		return // bitmap has reported it
	}
	start, n := c.groupStart(group), (c.groupBlocks(group)+c.ratio-1)/c.ratio
	used := int64(0)
	if c.flagsOf(&d)&blockUninit != 0 {
		used = c.checkUninit(group, &d)
	} else if b := c.bitmap(group, d.blockBitmap(), n, uint32(d.BlockBitmapCsumLo)|uint32(d.BlockBitmapCsumHi)<<16, blockBitmapClaim); b != nil {
		used = c.compareBlocks(group, b, start, n, d.blockBitmap()*c.blockSize)
	} else {
		return
	}
	c.freeClusters += n - used
	if said := int64(d.FreeBlocksCountLo) | int64(d.FreeBlocksCountHi)<<16; said != n-used {
		c.mismatch(c.descriptorAt(group), groupObject(group), "bg_free_blocks_count", said, n-used)
	}
}

// clusters returns which of 64 clusters from a block on are in use, as bits.
func (c *checker) clusters(block int64) (w uint64) {
	if c.ratio == 1 {
		return c.used.word(block)
	}
	for i := range int64(64) {
		if at := block + i*c.ratio; at < c.blocks && c.used.count(at, c.ratio) > 0 {
			w |= 1 << i
		}
	}
	return w
}

// compareBlocks compares a bitmap of n clusters with the blocks in use, and counts these. A run of differences is one fault. It compares words
// of 64 bits, since a large file system has billions of blocks.
func (c *checker) compareBlocks(group int64, b []byte, start, n, at int64) (used int64) {
	runs := diffRuns{unit: c.ratio, base: start, report: func(from, to int64, marked bool) {
		c.fault(at+(from-start)/c.ratio/8, fmt.Sprintf("block bitmap of group %d", group), "%s", diffText("blocks", from, to, marked))
	}}
	for i := int64(0); i < n; i += 64 {
		m := ^uint64(0)
		if n-i < 64 {
			m >>= 64 - (n - i)
		}
		want := c.clusters(start+i*c.ratio) & m
		used += int64(bits.OnesCount64(want))
		runs.compare(i, le.Uint64(padded8(b, i/8))&m, want)
	}
	runs.flush()
	return used
}

// padded8 returns 8 bytes from an offset on.
func padded8(b []byte, at int64) []byte {
	if at+8 <= int64(len(b)) {
		return b[at:]
	}
	var p [8]byte
	copy(p[:], b[at:])
	return p[:]
}

func diffText(what string, from, to int64, marked bool) string {
	if marked {
		return fmt.Sprintf("%s %d to %d are marked as used and nothing uses them", what, from, to)
	}
	return fmt.Sprintf("%s %d to %d are in use and marked as free", what, from, to)
}

// diffRuns joins differences between two bitmaps into runs.
type diffRuns struct {
	unit, base int64
	from, to   int64 // bits [from, to) differ; none if they are equal
	marked     bool  // they are set in the bitmap that was read
	report     func(from, to int64, marked bool)
}

// compare adds 64 bits.
func (r *diffRuns) compare(at int64, has, want uint64) {
	for diff := has ^ want; diff != 0; diff &= diff - 1 {
		i := bits.TrailingZeros64(diff)
		bit, marked := at+int64(i), has>>i&1 != 0
		if bit != r.to || marked != r.marked {
			r.flush()
			r.from, r.marked = bit, marked
		}
		r.to = bit + 1
	}
}

func (r *diffRuns) flush() {
	if r.to > r.from {
		r.report(r.base+r.from*r.unit, r.base+r.to*r.unit-1, r.marked)
	}
	r.from, r.to = 0, 0
}

// checkUninit checks a group whose block bitmap is not written: only its own structures may be in it. It returns the clusters in use.
func (c *checker) checkUninit(group int64, d *groupDescriptor) int64 {
	// The kernel makes the bitmap from what the superblock and the descriptor say is in the group, whatever else lies there.
	start, blocks := c.groupStart(group), c.groupBlocks(group)
	own := int64(0)
	if c.hasSuper(group) {
		own++
	}
	if c.metaGroup(group) {
		if c.metaDescBlock(group) != 0 {
			own++
		}
	} else if c.hasSuper(group) {
		descs, reserved := c.oldDescs()
		own += descs + reserved
	}
	for _, s := range []mapping{{0, d.blockBitmap(), 1}, {0, d.inodeBitmap(), 1}, {0, d.inodeTable(), c.tableBlocks()}} {
		if s.physical >= start && s.physical < start+blocks {
			own += s.blocks
		}
	}
	used := c.used.count(start, blocks)
	if used != own {
		c.fault(c.descriptorAt(group), groupObject(group), "the block bitmap is not written, and %d blocks are in use, not %d", used, own)
	}
	if c.ratio == 1 {
		return used
	}
	used = 0
	for i := int64(0); i < blocks; i += c.ratio {
		if c.used.count(start+i, min(c.ratio, blocks-i)) > 0 {
			used++
		}
	}
	return used
}

// checkInodeBitmap compares a group's inode bitmap and count with the inodes that were found in use. Reserved inodes always are.
func (c *checker) checkInodeBitmap(group int64, d *groupDescriptor) {
	var b []byte
	if c.flagsOf(d)&inodeUninit == 0 {
		b = c.bitmap(group, d.inodeBitmap(), c.inodesPerGroup, uint32(d.InodeBitmapCsumLo)|uint32(d.InodeBitmapCsumHi)<<16, inodeBitmapClaim)
	}
	first := group*c.inodesPerGroup + 1
	runs := diffRuns{unit: 1, base: first, report: func(from, to int64, marked bool) {
		c.fault(d.inodeBitmap()*c.blockSize+(from-first)/8, fmt.Sprintf("inode bitmap of group %d", group), "%s", diffText("inodes", from, to, marked))
	}}
	free := c.inodesPerGroup
	for i := int64(0); i < c.inodesPerGroup; i += 8 {
		want := uint64(0)
		for k := range min(8, c.inodesPerGroup-i) {
			if s := c.states.find(first + i + k); s != nil && s.kind != 0 || first+i+k < c.firstFree {
				want |= 1 << k
				free--
			}
		}
		if b != nil {
			runs.compare(i, uint64(b[i/8]), want)
		}
	}
	runs.flush()
	c.freeInodes += free
	if said := int64(d.FreeInodesCountLo) | int64(d.FreeInodesCountHi)<<16; said != free {
		c.mismatch(c.descriptorAt(group), groupObject(group), "bg_free_inodes_count", said, free)
	}
}
