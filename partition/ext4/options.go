package ext4

import (
	"fmt"
	"math"
	"strings"

	"imprint/internal/repro"
	"imprint/internal/units"
)

// Options say what file system is made around a tree. The zero value gives the smallest one with blocks of 4096 bytes.
type Options struct {
	Size    int64 // bytes of the region; 0: as small as the content, Free and FreeInodes allow
	MinSize int64 // bytes that the region has at least when Size is 0

	Free          int64 // bytes that stay free besides the content
	FreeInodes    int64 // inodes that stay free
	BytesPerInode int64 // at least one inode for so many bytes of the file system; growing it later keeps this ratio; 0: no such floor
	Reserved      int64 // bytes of what is free that only root may fill

	BlockSize   int64 // bytes: 4096 (as is 0), 2048 or 1024
	JournalSize int64 // bytes; 0: what mke2fs takes for a file system of that size

	Label    string     // 16 bytes at most
	UUID     repro.UUID // of the file system
	HashSeed repro.UUID // of the directory indexes
	Epoch    int64      // seconds since 1970, of all that has no time in the tree: superblock, journal, lost+found
	Features []string   // as after mke2fs -O, such as "^metadata_csum"
}

// A TooSmallError says that a tree, with what should stay free, does not fit.
type TooSmallError struct {
	Needed, Given int64 // bytes; Given is the largest size there can be when no size was asked for
	Inodes        int64 // inodes that are needed, those that should stay free among them
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

// maxOption bounds sizes and counts so that sums of them stay numbers.
const maxOption = 1 << 56

// check refuses options that no file system can have; defaults are in place already.
func (o *Options) check() error {
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"size", o.Size}, {"smallest size", o.MinSize}, {"free space", o.Free}, {"free inodes", o.FreeInodes},
		{"bytes per inode", o.BytesPerInode}, {"reserved space", o.Reserved}, {"journal size", o.JournalSize},
	} {
		if n.value < 0 || n.value > maxOption {
			return fmt.Errorf("lay out ext4: %s of %d is not within 0 and %d", n.name, n.value, int64(maxOption))
		}
	}
	journal := o.JournalSize / o.BlockSize
	switch {
	case o.BlockSize != 1024 && o.BlockSize != 2048 && o.BlockSize != 4096:
		return fmt.Errorf("lay out ext4: block size %d is none of 1024, 2048, 4096", o.BlockSize)
	case len(o.Label) > 16 || strings.ContainsRune(o.Label, 0):
		return fmt.Errorf("lay out ext4: label %q has %d bytes, 16 are allowed, none of them NUL", o.Label, len(o.Label))
	case o.BytesPerInode != 0 && o.BytesPerInode < o.BlockSize:
		return fmt.Errorf("lay out ext4: %d bytes per inode are less than a block of %d", o.BytesPerInode, o.BlockSize)
	case o.JournalSize != 0 && (journal < minJournal || journal > maxJournal):
		return fmt.Errorf("lay out ext4: a journal has %d to %d blocks, not %d", minJournal, maxJournal, journal)
	case o.Epoch < 0 || o.Epoch > math.MaxUint32:
		return fmt.Errorf("lay out ext4: epoch %d is not within 0 and %d", o.Epoch, uint32(math.MaxUint32))
	}
	return nil
}
