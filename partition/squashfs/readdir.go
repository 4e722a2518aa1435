package squashfs

import (
	"fmt"

	"imprint/internal/tree"
)

// Sizes of the records of a directory, in bytes (struct squashfs_dir_header, squashfs_dir_entry).
const (
	dirHeader  = 12
	dirEntry   = 8
	maxEntries = 256 // after a header
)

// An entry is a name in a directory.
type entry struct {
	name   string
	ref    uint64 // of the inode
	number uint32 // of the inode
	code   uint16 // type of the basic form
	at     place
}

// eachEntry calls do for the entries of a directory: after each header, which says the metadata block of their inodes.
func (r *reader) eachEntry(where dirRange, do func(entry) error) error {
	c := r.cursor(&r.dirs, place{r.dirs.from + int64(where.block), int(where.off)})
	for left := where.size; left > 0; {
		head, err := c.bytes(dirHeader)
		if err != nil {
			return err
		}
		count, block, first := int64(le.Uint32(head))+1, uint64(le.Uint32(head[4:])), le.Uint32(head[8:])
		if left -= dirHeader; count > maxEntries || count*(dirEntry+1) > left {
			return fmt.Errorf("header with %d entries, %d bytes of the directory are left", count, left)
		}
		for ; count > 0; count-- {
			e := entry{at: c.at}
			b, err := c.bytes(dirEntry)
			if err != nil {
				return err
			}
			e.ref, e.number, e.code = block<<16|uint64(le.Uint16(b)), first+uint32(int32(int16(le.Uint16(b[2:])))), le.Uint16(b[4:])
			size := int64(le.Uint16(b[6:])) + 1
			if left -= dirEntry + size; left < 0 || size > maxName {
				return fmt.Errorf("name of %d bytes is longer than %d, or than the directory", size, maxName)
			}
			name, err := c.bytes(int(size))
			if err != nil {
				return err
			}
			if e.name = string(name); e.code > typeSocket {
				return fmt.Errorf("entry %q has the type %d", e.name, e.code)
			}
			if err := do(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxName is the length in bytes of the longest name (SQUASHFS_NAME_LEN).
const maxName = 256

// check refuses a name that no file can have, and one that is not after the last: Linux stops looking when it has passed a name.
func (e entry) check(last string) error {
	if err := tree.CheckName(e.name); err != nil {
		return err
	}
	if e.name <= last {
		return fmt.Errorf("name %q comes after %q", e.name, last)
	}
	return nil
}
