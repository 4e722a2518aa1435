package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// Places in the superblock and in an inode (Linux, fs/squashfs/squashfs_fs.h: struct squashfs_super_block, squashfs_base_inode).
const (
	magic          = 0x73717368
	superRootInode = 32 // 8 bytes: where its metadata block begins in the inode table, shifted by 16, and where it is in that
	superInodes    = 64 // 8 bytes: the inode table
	superSize      = 96
	inodeMtime     = 8 // 4 bytes

	metadataSize = 8192    // bytes of a metadata block, behind a header of 2 bytes
	uncompressed = 1 << 15 // in the header
)

// setRootTime sets the time of the root, which sqfstar 4.5 takes from the clock. The inode table is not compressed (-noI).
func setRootTime(name string, seconds int64) (err error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	super := make([]byte, superSize)
	if _, err := f.ReadAt(super, 0); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(super) != magic {
		return fmt.Errorf("%s is no squashfs", name)
	}
	root := binary.LittleEndian.Uint64(super[superRootInode:])
	block := int64(binary.LittleEndian.Uint64(super[superInodes:])) + int64(root>>16)
	at := int64(root & 0xffff)
	var header [2]byte
	if _, err := f.ReadAt(header[:], block); err != nil {
		return err
	}
	if binary.LittleEndian.Uint16(header[:])&uncompressed == 0 {
		return fmt.Errorf("the inode table of %s is compressed", name)
	}
	for i, b := range binary.LittleEndian.AppendUint32(nil, uint32(seconds)) {
		off := at + inodeMtime + int64(i)
		if _, err := f.WriteAt([]byte{b}, block+2+off+off/metadataSize*2); err != nil { // the inode may go on in the next block
			return err
		}
	}
	return nil
}
