package ext4

import (
	"fmt"

	"imprint/internal/tree"
)

// Further inode flags (kernel: "Inode Table", i_flags).
const (
	compressedFlag       = 0x4
	compressedBlocksFlag = 0x200
	encryptFlag          = 0x800
	hugeFileFlag         = 0x40000
	verityFlag           = 0x100000
	eaInodeFlag          = 0x200000
	inlineFlag           = 0x10000000
	casefoldFlag         = 0x40000000
)

// size returns the length of the content in bytes.
func (n *inode) size() int64 { return int64(n.SizeLo) | int64(n.SizeHigh)<<32 }

// xattrBlock returns the block with extended attributes, 0 for none.
func (n *inode) xattrBlock() int64 { return int64(n.FileACLLo) | int64(n.FileACLHigh)<<32 }

// kind returns the type in i_mode.
func (n *inode) kind() (tree.Kind, bool) {
	for k, bits := range modeTypes {
		if n.Mode&0xf000 == bits {
			return tree.Kind(k), true
		}
	}
	return 0, false
}

// device is the inverse of setDevice.
func (n *inode) device() tree.Device {
	if old := le.Uint32(n.Block[0:]); old != 0 {
		return tree.Device{Major: old >> 8 & 0xff, Minor: old & 0xff}
	}
	d := le.Uint32(n.Block[4:])
	return tree.Device{Major: d >> 8 & 0xfff, Minor: d&0xff | d>>12&^0xff}
}

// mtime returns the modification time, whose nanoseconds may be out of range.
func (n *inode) mtime() tree.Time {
	return tree.Time{Sec: int64(int32(n.Mtime)) + int64(n.MtimeExtra&3)<<32, Nsec: n.MtimeExtra >> 2}
}

// sectors returns i_blocks in sectors of 512 bytes. With a flag of the inode it is stored in blocks of the file system.
func (f *frame) sectors(n *inode) int64 {
	sectors := int64(n.BlocksLo)
	if f.features.has(hugeFile) {
		sectors |= int64(n.BlocksHigh) << 32
	}
	if n.Flags&hugeFileFlag != 0 {
		sectors *= f.blockSize / 512
	}
	return sectors
}

// fast reports whether the target of a symlink lies in the inode: if the inode has no blocks besides those of extended attributes.
func (f *frame) fast(n *inode) bool {
	if n.size() >= fastSymlink || n.Flags&(inlineFlag|extentsFlag) != 0 {
		return false
	}
	own := f.sectors(n)
	if n.xattrBlock() != 0 {
		own -= f.blockSize * f.ratio / 512
	}
	return own <= 0 || f.features.has(eaInode)
}

// extra returns the number of bytes of fields after the first 128 of an inode; extended attributes may follow them.
func (f *frame) extra(b []byte) int64 {
	if f.inodeBytes <= oldInode {
		return 0
	}
	return int64(le.Uint16(b[oldInode:]))
}

// decodeInode decodes the bytes of an inode; fields that it does not have are 0.
func (f *frame) decodeInode(b []byte) (n inode) {
	var whole [oldInode + extraFields]byte
	copy(whole[:], b[:min(oldInode+max(0, f.extra(b)), f.inodeBytes, int64(len(whole)))])
	n.decode(whole[:])
	return n
}

// inodeChecksum returns the checksum that an inode has and the one that its bytes have.
func (f *frame) inodeChecksum(b []byte, number uint32, n *inode) (has, want uint32) {
	const lo, hi = checksumLoAt, checksumHiAt
	sum := f.inodeSum(number, n).over(b[:lo]).over([]byte{0, 0})
	has = uint32(n.ChecksumLo)
	if f.inodeBytes == oldInode {
		return has, uint32(sum.over(b[lo+2:oldInode])) & 0xffff
	}
	if f.extra(b) < 4 { // no room for the upper half
		return has, uint32(sum.over(b[lo+2:])) & 0xffff
	}
	return has | uint32(n.ChecksumHi)<<16, uint32(sum.over(b[lo+2 : hi]).over([]byte{0, 0}).over(b[hi+2:]))
}

// inodeSum returns the start of the checksums of an inode and of the structures that belong to it.
func (f *frame) inodeSum(number uint32, n *inode) checksum {
	return f.seed.over32(number).over32(n.Generation)
}

// descriptor reads the descriptor of a group.
func (f *frame) descriptor(w *windows, group int64) (d groupDescriptor, b []byte, err error) {
	b, err = w.read(f.descriptorAt(group), f.descBytes)
	if err != nil {
		return d, nil, fmt.Errorf("group descriptor %d: %w", group, err)
	}
	d.decode(b[:min(f.descBytes, 64)])
	if f.format.descSize() < 64 {
		d.BlockBitmapHi, d.InodeBitmapHi, d.InodeTableHi = 0, 0, 0
	}
	return d, b, nil
}

func (d *groupDescriptor) blockBitmap() int64 {
	return int64(d.BlockBitmapLo) | int64(d.BlockBitmapHi)<<32
}
func (d *groupDescriptor) inodeBitmap() int64 {
	return int64(d.InodeBitmapLo) | int64(d.InodeBitmapHi)<<32
}
func (d *groupDescriptor) inodeTable() int64 {
	return int64(d.InodeTableLo) | int64(d.InodeTableHi)<<32
}

// inodeTableOf returns the first block of a group's inode table. It decodes only that field, since every inode needs it.
func (f *frame) inodeTableOf(w *windows, group int64) (table int64, err error) {
	b, err := w.read(f.descriptorAt(group), f.descBytes)
	if err != nil {
		return 0, fmt.Errorf("group descriptor %d: %w", group, err)
	}
	table = int64(le.Uint32(b[0x8:]))
	if f.features.has(bit64) {
		table |= int64(le.Uint32(b[0x28:])) << 32
	}
	if err := f.checkBlocks(table, f.tableBlocks()); err != nil {
		return 0, fmt.Errorf("inode table of group %d: %w", group, err)
	}
	return table, nil
}

// inodeAt returns the offset in bytes of an inode.
func (f *frame) inodeAt(w *windows, number uint32) (int64, error) {
	if number == 0 || int64(number) > f.inodes() {
		return 0, fmt.Errorf("inode %d: is not within 1 and %d", number, f.inodes())
	}
	group, i := int64(number-1)/f.inodesPerGroup, int64(number-1)%f.inodesPerGroup
	table, err := f.inodeTableOf(w, group)
	if err != nil {
		return 0, err
	}
	return table*f.blockSize + i*f.inodeBytes, nil
}

// inode reads an inode.
func (f *frame) inode(w *windows, number uint32) (n inode, b []byte, err error) {
	at, err := f.inodeAt(w, number)
	if err != nil {
		return n, nil, err
	}
	if b, err = w.read(at, f.inodeBytes); err != nil {
		return n, nil, fmt.Errorf("inode %d: %w", number, err)
	}
	return f.decodeInode(b), b, nil
}

// checkSize returns an error for a content that is longer than the inode's map can be.
func (f *frame) checkSize(n *inode) error {
	limit := int64(maxFileBlocks)
	if n.Flags&extentsFlag == 0 {
		limit = min(limit, f.maxMapped())
	}
	if size := n.size(); size < 0 || size > limit*f.blockSize {
		return fmt.Errorf("content of %d bytes, %d are the limit", uint64(size), limit*f.blockSize)
	}
	return nil
}
