package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// Places in the superblock and in an inode (Linux, fs/squashfs/squashfs_fs.h: struct squashfs_super_block, squashfs_base_inode).
const (
	magic       = 0x73717368
	superIDs    = 26 // 2 bytes: how many numbers of users and groups there are
	superRoot   = 32 // 8 bytes: where the root's metadata block begins in the inode table, shifted by 16, and where it is in that
	superUsed   = 40 // 8 bytes: how much of the file is used
	superID     = 48 // 8 bytes: the table of those numbers
	superAttr   = 56 // 8 bytes: the table of extended attributes, after that of numbers; none is 1 in every bit
	superNode   = 64 // 8 bytes: the inode table
	superExport = 88 // 8 bytes: the table of references to inodes
	superSize   = 96

	inodeUID   = 4 // 2 bytes: which of the numbers
	inodeGID   = 6 // 2 bytes
	inodeMtime = 8 // 4 bytes

	metadataSize = 8192    // bytes of a metadata block, after a header of 2 bytes
	uncompressed = 1 << 15 // in the header
	grain        = 4096    // what the file is padded to
)

// An image is a finished squashfs whose inodes and numbers of users and groups are not compressed (-noI).
type image struct {
	*os.File
	super []byte
}

// ownRoot returns the root its owner and its time, in place of those that sqfstar 4.5 gives it: whoever runs it, and the clock's. used are the
// numbers of users and groups of everything else.
func ownRoot(name, program string, root *tree.Attr, used map[uint32]bool) (err error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	i := image{f, make([]byte, superSize)}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.ReadAt(i.super, 0); err != nil && err != io.EOF {
		return err
	}
	if used := i.field(superUsed); binary.LittleEndian.Uint32(i.super) != magic || used < superSize || used > info.Size() {
		return fmt.Errorf("%s ended without an error and wrote no squashfs: %d bytes that begin with %q", program, info.Size(), i.super[:4])
	}
	ids, err := i.ids()
	if err != nil {
		return err
	}
	if ids, err = without(ids, used); err != nil {
		return err
	}
	for _, id := range []uint32{root.UID, root.GID} {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if err := i.setRoot(root, ids); err != nil {
		return err
	}
	return i.setIDs(ids)
}

// ids are the numbers of users and groups: a metadata block, and after it where that begins.
func (i image) ids() ([]uint32, error) {
	n := int64(binary.LittleEndian.Uint16(i.super[superIDs:]))
	table, used := i.field(superID), i.field(superUsed)
	block := make([]byte, 2+4*n)
	if 4*n > metadataSize || table+8 > used || table+8 < used && i.field(superAttr) == none || table < int64(len(block)) {
		return nil, fmt.Errorf("%d numbers of users and groups at %d of %d bytes", n, table, used)
	}
	if _, err := i.ReadAt(block, table-int64(len(block))); err != nil {
		return nil, err
	}
	if int64(binary.LittleEndian.Uint16(block)) != 4*n|uncompressed {
		return nil, errors.New("the numbers of users and groups are compressed, or in several blocks")
	}
	ids := make([]uint32, n)
	for k := range ids {
		ids[k] = binary.LittleEndian.Uint32(block[2+4*k:])
	}
	return ids, nil
}

// without returns the ids that are used. Those of the root come last, since its inode does.
func without(ids []uint32, used map[uint32]bool) ([]uint32, error) {
	n := len(ids)
	for n > 0 && !used[ids[n-1]] {
		n--
	}
	if n != len(used) {
		return nil, fmt.Errorf("numbers of users and groups %v, of which %d are used", ids, len(used))
	}
	return ids[:n], nil
}

// setRoot changes the root's inode, which may go on in the next metadata block.
func (i image) setRoot(root *tree.Attr, ids []uint32) error {
	ref := i.field(superRoot)
	block, at := i.field(superNode)+ref>>16, ref&0xffff
	var header [2]byte
	if _, err := i.ReadAt(header[:], block); err != nil {
		return err
	}
	if binary.LittleEndian.Uint16(header[:])&uncompressed == 0 {
		return errors.New("the inodes are compressed")
	}
	p := binary.LittleEndian.AppendUint16(nil, uint16(slices.Index(ids, root.UID)))
	p = binary.LittleEndian.AppendUint16(p, uint16(slices.Index(ids, root.GID)))
	p = binary.LittleEndian.AppendUint32(p, uint32(root.Mtime.Sec))
	for k, b := range p {
		off := at + inodeUID + int64(k)
		if _, err := i.WriteAt([]byte{b}, block+2+off+off/metadataSize*2); err != nil {
			return err
		}
	}
	return nil
}

// setIDs writes the table of numbers anew, with what stands after it.
func (i image) setIDs(ids []uint32) error {
	after, err := i.attributes()
	if err != nil {
		return err
	}
	begin := i.field(superID) - 2 - 4*int64(binary.LittleEndian.Uint16(i.super[superIDs:]))
	p := binary.LittleEndian.AppendUint16(nil, uint16(4*len(ids))|uncompressed)
	for _, id := range ids {
		p = binary.LittleEndian.AppendUint32(p, id)
	}
	table := begin + int64(len(p))
	p = binary.LittleEndian.AppendUint64(p, uint64(begin))
	p = append(p, i.moved(after, begin+int64(len(p))-i.field(superID)-8)...)
	used := begin + int64(len(p))
	binary.LittleEndian.PutUint16(i.super[superIDs:], uint16(len(ids)))
	binary.LittleEndian.PutUint64(i.super[superID:], uint64(table))
	binary.LittleEndian.PutUint64(i.super[superUsed:], uint64(used))
	if err := i.Truncate(begin); err != nil {
		return err
	}
	if _, err := i.WriteAt(p, begin); err != nil {
		return err
	}
	if _, err := i.WriteAt(i.super, 0); err != nil {
		return err
	}
	return i.Truncate(units.Align(used, grain))
}

func (i image) field(at int) int64 { return int64(binary.LittleEndian.Uint64(i.super[at:])) }

// none is the place of a table that an image does not have.
const none = -1

// maxAttributes is the most that the tables of extended attributes may have in bytes, since they are read into memory.
const maxAttributes = 1 << 30

// attributes returns what comes after the table of numbers: the tables of extended attributes, if there are any. The last of them says
// where the first begins (8 bytes), how many sets of attributes there are (4 bytes, and 4 unused), and where each metadata block of the
// second one is (8 bytes each).
func (i image) attributes() ([]byte, error) {
	from, used := i.field(superID)+8, i.field(superUsed)
	if i.field(superAttr) == none {
		return nil, nil
	}
	if n := used - from; n > maxAttributes {
		return nil, fmt.Errorf("extended attributes of %d bytes, more than %d", n, maxAttributes)
	}
	p := make([]byte, used-from)
	if _, err := i.ReadAt(p, from); err != nil {
		return nil, err
	}
	index := i.field(superAttr) - from
	if index < 0 || index+16 > int64(len(p)) || int64(binary.LittleEndian.Uint64(p[index:])) != from || (int64(len(p))-index)%8 != 0 {
		return nil, fmt.Errorf("extended attributes from %d to %d, with their index at %d", from, used, i.field(superAttr))
	}
	return p, nil
}

// moved adds a distance to every place in the tables of extended attributes, and to their own in the superblock.
func (i image) moved(p []byte, by int64) []byte {
	if p == nil {
		return nil
	}
	index := i.field(superAttr) - i.field(superID) - 8
	for at := index; at < int64(len(p)); at += 8 {
		if at != index+8 { // the number of sets
			binary.LittleEndian.PutUint64(p[at:], binary.LittleEndian.Uint64(p[at:])+uint64(by))
		}
	}
	binary.LittleEndian.PutUint64(i.super[superAttr:], uint64(i.field(superAttr)+by))
	return p
}
