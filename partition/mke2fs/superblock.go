package mke2fs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
)

// Offsets in the superblock (Linux, Documentation/filesystems/ext4/super.rst).
const (
	superSize     = 1024
	superMagic    = 0x38  // 2 bytes
	superBlocks   = 0x4   // 4 bytes: s_blocks_count_lo, with the upper half at superBlocksHi
	superGroup    = 0x5a  // 2 bytes: the group that this copy lies in
	superBlocksHi = 0x150 // 4 bytes
	superWritten  = 0x178 // 8 bytes: s_kbytes_written
	superChecksum = 0x3fc // 4 bytes: CRC-32C of what comes before
	magic         = 0xef53
)

// superblock reads the superblock, or the copy of it in a group.
func (m *maker) superblock(f *os.File, group int64) (p []byte, at int64, err error) {
	at = m.offset + group*m.layout.perGroup*blockSize
	if group == 0 {
		at += superSize // the first block begins with room for boot code
	}
	p = make([]byte, superSize)
	_, err = f.ReadAt(p, at)
	return p, at, err
}

// checkFormat checks that mke2fs has made a file system of the size it was asked for. Its output does not show that, since it prints nothing
// on success.
func (m *maker) checkFormat() error {
	f, err := os.Open(m.image)
	if err != nil {
		return err
	}
	defer f.Close()
	p, _, err := m.superblock(f, 0)
	if err != nil {
		return err
	}
	blocks := int64(binary.LittleEndian.Uint32(p[superBlocks:])) | int64(binary.LittleEndian.Uint32(p[superBlocksHi:]))<<32
	if found := binary.LittleEndian.Uint16(p[superMagic:]); found != magic || blocks != m.layout.blocks {
		return fmt.Errorf("mke2fs ended without an error and made no file system of %d blocks: magic number %#x, %d blocks", m.layout.blocks, found, blocks)
	}
	return nil
}

// normalize sets s_kbytes_written to 0 in all copies of the superblock. The tools count there what they write, and that depends on what
// the file system of the disk file can do, such as to make holes.
func (m *maker) normalize() (err error) {
	f, err := os.OpenFile(m.image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, group := range m.layout.copyGroups() {
		p, at, err := m.superblock(f, group)
		if err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(p[superMagic:]) != magic || int64(binary.LittleEndian.Uint16(p[superGroup:])) != group&0xffff {
			return fmt.Errorf("no superblock in block group %d", group)
		}
		clear(p[superWritten : superWritten+8])
		binary.LittleEndian.PutUint32(p[superChecksum:], ^crc32.Checksum(p[:superChecksum], crc32.MakeTable(crc32.Castagnoli)))
		if _, err := f.WriteAt(p, at); err != nil {
			return err
		}
	}
	return nil
}
