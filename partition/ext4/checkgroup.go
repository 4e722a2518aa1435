package ext4

import (
	"bytes"
	"fmt"
	"reflect"
)

// crc16 continues the checksum of uninit_bg: CRC-16 with the polynomial 0x8005, lowest bit first. It needs no table, since descriptors are few.
func crc16(sum uint16, b []byte) uint16 {
	for _, x := range b {
		sum ^= uint16(x)
		for range 8 {
			sum = sum>>1 ^ 0xa001*(sum&1)
		}
	}
	return sum
}

// groupChecksums reports whether groups have checksums and flags.
func (f *frame) groupChecksums() bool {
	return f.features.has(metadataCsum) || f.features.has(uninitBG)
}

// groupSum returns the checksum of a descriptor's bytes.
func (f *frame) groupSum(group int64, b []byte) uint16 {
	const at = 0x1e // of bg_checksum
	number := le.AppendUint32(nil, uint32(group))
	if f.features.has(metadataCsum) {
		return uint16(f.seed.over(number).over(b[:at]).over([]byte{0, 0}).over(b[at+2:]))
	}
	sum := crc16(crc16(crc16(0xffff, f.super.UUID[:]), number), b[:at])
	return crc16(sum, b[at+2:])
}

func groupObject(group int64) string { return fmt.Sprintf("group descriptor %d", group) }

// flagsOf returns the flags of a group; without checksums, readers ignore them.
func (c *checker) flagsOf(d *groupDescriptor) uint16 {
	if !c.groupChecksums() {
		return 0
	}
	return d.Flags
}

// checkGroup checks a group's descriptor and its copies, and claims the group's own blocks.
func (c *checker) checkGroup(group int64) {
	at := c.descriptorAt(group)
	d, b, err := c.descriptor(c.w, group)
	if err != nil {
		c.fault(at, groupObject(group), "%v", err)
		return
	}
	c.checkGroupSum(at, groupObject(group), group, b, d.Checksum)
	if d.ExcludeBitmapLo|d.ExcludeBitmapHi|d.Reserved != 0 {
		c.fault(at, groupObject(group), "bg_exclude_bitmap and bg_reserved are not zero")
	}
	if d.Flags&(inodeUninit|blockUninit) != 0 && !c.groupChecksums() {
		c.fault(at, groupObject(group), "flags 0x%x say that a bitmap is not written, without checksums", d.Flags)
	}
	if unknown := d.Flags &^ (inodeUninit | blockUninit | inodeZeroed); unknown != 0 {
		c.fault(at, groupObject(group), "flags 0x%x are not known", unknown)
	}
	c.checkGroupCopies(group, b, &d)
	c.claimCopy(group)
	c.claimOwn(group, at, d.blockBitmap(), 1, blockBitmapClaim)
	c.claimOwn(group, at, d.inodeBitmap(), 1, inodeBitmapClaim)
	c.claimOwn(group, at, d.inodeTable(), c.tableBlocks(), inodeTableClaim)
}

func (c *checker) checkGroupSum(at int64, object string, group int64, b []byte, has uint16) {
	if !c.groupChecksums() {
		return
	}
	if want := c.groupSum(group, b); has != want {
		c.fault(at, object, "checksum 0x%04x does not match its bytes, which have 0x%04x", has, want)
	}
}

// checkGroupCopies compares the other copies of a descriptor with the first one: all of it in a pristine file system, else only the places of
// the group's structures.
func (c *checker) checkGroupCopies(group int64, want []byte, first *groupDescriptor) {
	pristine := c.super.pristine() && !c.groupChecksums()
	c.descriptorCopies(group, func(at int64) {
		object := func() string { return fmt.Sprintf("copy of group descriptor %d", group) }
		b := c.read(at, c.descBytes, object)
		if b == nil || bytes.Equal(b, want) {
			return
		}
		var d groupDescriptor
		d.decode(b[:min(c.descBytes, 64)])
		c.checkGroupSum(at, object(), group, b, d.Checksum)
		if pristine || d.blockBitmap() != first.blockBitmap() || d.inodeBitmap() != first.inodeBitmap() || d.inodeTable() != first.inodeTable() {
			c.compareFields(at, object(), groupNames, "bg_", reflect.ValueOf(d), reflect.ValueOf(*first))
		}
	})
}

// claimCopy claims the superblock and the descriptors that a group begins with.
func (c *checker) claimCopy(group int64) {
	add := func(start, blocks int64, kind claimKind) {
		if blocks > 0 {
			c.claim(claim{start, blocks, kind, group, 0}, func(format string, args ...any) { c.fault(start*c.blockSize, groupObject(group), format, args...) })
		}
	}
	if group == 0 && c.superBlock(0) > c.first { // the boot block of a file system with clusters
		add(c.first, c.superBlock(0)-c.first, bootClaim)
	}
	if c.hasSuper(group) {
		add(c.superBlock(group), 1, superClaim)
	}
	if c.metaGroup(group) {
		if block := c.metaDescBlock(group); block != 0 {
			add(block, 1, descClaim)
		}
	} else if c.hasSuper(group) {
		descs, reserved := c.oldDescs()
		add(c.superBlock(group)+1, descs, descClaim)
		add(c.superBlock(group)+1+descs, reserved, reservedDescClaim)
	}
}

var ownNames = map[claimKind]string{blockBitmapClaim: "block bitmap", inodeBitmapClaim: "inode bitmap", inodeTableClaim: "inode table"}

// claimOwn claims the blocks that a descriptor points to. Without flex_bg they must lie in the group.
func (c *checker) claimOwn(group, at, start, blocks int64, kind claimKind) {
	fault := func(format string, args ...any) {
		c.fault(at, groupObject(group), "%s: %s", ownNames[kind], fmt.Sprintf(format, args...))
	}
	lo, hi := c.groupStart(group), c.groupStart(group)+c.groupBlocks(group)
	if c.features.has(flexBG) {
		lo, hi = c.first, c.blocks
	}
	if start < lo || start > hi-blocks {
		fault("blocks %d to %d are not within %d and %d", start, start+blocks-1, lo, hi-1)
		return
	}
	c.claim(claim{start, blocks, kind, group, 0}, fault)
}
