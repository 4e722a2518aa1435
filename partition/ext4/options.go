package ext4

import (
	"fmt"
	"math"
	"strings"

	"imprint/internal/repro"
	"imprint/internal/units"
)

// Options describe the file system to lay out. The zero value is the smallest one with blocks of 4096 bytes.
type Options struct {
	Size    int64 // bytes of the region; 0 for the smallest size with room for the tree, Free and FreeInodes
	MinSize int64 // the least size in bytes when Size is 0

	Free          int64 // bytes that stay free
	FreeInodes    int64 // inodes that stay free
	BytesPerInode int64 // at least one inode per BytesPerInode bytes of the file system, also when it grows later; 0 for no minimum
	Reserved      int64 // bytes of the free space that only root may use

	BlockSize   int64 // bytes: 4096, 2048 or 1024; 0 for 4096
	JournalSize int64 // bytes; 0 for the default of mke2fs

	Label    string     // 16 bytes at most
	UUID     repro.UUID // of the file system
	HashSeed repro.UUID // of the directory indexes
	Epoch    int64      // seconds since 1970: the time of superblock, journal and lost+found, which are not in the tree
	Features []string   // as in mke2fs -O, such as "^metadata_csum"

	// Earlier is where an earlier file system had what is at the same paths. That stays there, as far as it fits, in a file system of the same size,
	// unless one that is laid out anew would be much smaller.
	Earlier     *Places
	Spare       int64 // with Size 0, bytes that a layout anew leaves free besides Free, for later ones that keep to it
	SpareInodes int64 // the same for inodes
}

// A TooSmallError reports that a tree does not fit together with what should stay free.
type TooSmallError struct {
	Needed, Given int64 // bytes; Given is the limit of the format when no size was given
	Inodes        int64 // inodes that are needed, including those that should stay free
}

// Error implements error.
func (e *TooSmallError) Error() string {
	return fmt.Sprintf("lay out ext4: %d bytes (%s) and %d inodes are needed, %d bytes (%s) are given",
		e.Needed, units.FormatBytes(e.Needed), e.Inodes, e.Given, units.FormatBytes(e.Given))
}

// Limits of the journal, in blocks: the kernel's smallest one and mke2fs's largest.
const (
	minJournal = 1024
	maxJournal = 10_240_000
)

// maxOption bounds sizes and counts so that sums of them do not overflow.
const maxOption = 1 << 56

// check refuses invalid options. BlockSize must be set.
func (o *Options) check() error {
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"size", o.Size}, {"smallest size", o.MinSize}, {"free space", o.Free}, {"free inodes", o.FreeInodes},
		{"spare space", o.Spare}, {"spare inodes", o.SpareInodes}, {"bytes per inode", o.BytesPerInode}, {"reserved space", o.Reserved}, {"journal size", o.JournalSize},
	} {
		if n.value < 0 || n.value > maxOption {
			return fmt.Errorf("lay out ext4: %s of %d is not within 0 and %d", n.name, n.value, int64(maxOption))
		}
	}
	journal := o.JournalSize / o.BlockSize
	switch {
	case o.BlockSize != 1024 && o.BlockSize != 2048 && o.BlockSize != 4096:
		return fmt.Errorf("lay out ext4: block size %d is not 1024, 2048 or 4096", o.BlockSize)
	case len(o.Label) > 16 || strings.ContainsRune(o.Label, 0):
		return fmt.Errorf("lay out ext4: label %q has %d bytes; it can have 16, and no NUL", o.Label, len(o.Label))
	case o.BytesPerInode != 0 && o.BytesPerInode < o.BlockSize:
		return fmt.Errorf("lay out ext4: %d bytes per inode are less than a block of %d", o.BytesPerInode, o.BlockSize)
	case o.JournalSize != 0 && (journal < minJournal || journal > maxJournal):
		return fmt.Errorf("lay out ext4: a journal has %d to %d blocks, not %d", minJournal, maxJournal, journal)
	case o.Epoch < 0 || o.Epoch > math.MaxUint32:
		return fmt.Errorf("lay out ext4: epoch %d is not within 0 and %d", o.Epoch, uint32(math.MaxUint32))
	}
	return nil
}
