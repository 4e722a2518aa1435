// Package partition plans what goes into one partition: a file system over a tree, or raw content. Which program or package makes
// it is decided here; where it lies on the disk is decided above.
package partition

import (
	"context"
	"fmt"
	"io"

	"imprint/internal/extent"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// A Spec is a partition to be made, with nothing left open but the size.
type Spec struct {
	Name       string
	Filesystem string   // the name of one of [Filesystems]
	Engine     string   // one of that file system's engines
	Features   []string // of ext4, as after mke2fs -O
	Label      string
	UUID       repro.UUID // of the file system
	Serial     uint32     // of a FAT volume, in place of a UUID
	HashSeed   repro.UUID // of ext4's directory index
	Modified   int64      // of an ISO 9660 volume, seconds since 1970: its digits are the identifier
	Epoch      int64      // seconds since 1970
	SectorSize int64      // bytes
	Offset     int64      // of the region in the disk, bytes
	Size       int64      // bytes; 0 means what it needs, and at least MinSize
	MinSize    int64      // bytes
	Free       int64      // bytes that stay free in a partition of no fixed size
	Tree       *tree.Tree
	Syslinux   bool      // install SYSLINUX on it
	Hybrid     Hybrid    // of an ISO 9660 image
	Content    tree.Blob // of a partition without a file system
	Scratch    string    // directory for what a host tool needs besides; it is empty again afterwards
}

// A Maker is a partition as it will be: how large, and what lies where in its region.
type Maker interface {
	extent.Source
	Size() int64 // bytes
}

// A Placer is a Maker that knows where each file's content goes, so that it can be written in any order.
type Placer interface {
	Maker
	// Place adds the extents of a File to list, in the order of the file.
	Place(list []extent.Extent, file *tree.Node) []extent.Extent
	// Grain is the unit in bytes of the space that a file's content takes for itself: what is left of its last one is nobody else's.
	Grain() int64
}

// A HostMade is a Maker whose region a host tool fills; its extents cannot be known before.
type HostMade interface {
	Maker
	// Fill starts to fill the region that starts at offset of the file, and reads as zeros before.
	Fill(ctx context.Context, file string, offset int64) (Packer, error)
	// Scratch bounds the bytes of scratch files that are needed meanwhile.
	Scratch() int64
}

// A Packer takes the nodes of a tree in its order for a host tool, and must be closed. The tool reads no other file: what it gets of a
// content is what passes here, where it is hashed.
type Packer interface {
	// Add adds a node at a path. content writes a file's content to w; for a further name of a file it may not be called.
	Add(path string, n *tree.Node, content func(w io.Writer) error) error
	// Close ends the file system. When nodes are missing it gives up, and returns an error.
	Close() error
}

// Stats is what a Maker says of itself for a user who asks for the plan.
type Stats struct {
	Exact      bool  // the size is what the content needs, not a bound
	BlockSize  int64 // bytes; a FAT's cluster
	Inodes     int64 // all, used and free; 0 for FAT
	FreeInodes int64
	FreeBytes  int64
	Journal    int64 // bytes
	FATBits    int   // 12, 16 or 32
}

// InodeRatio is how many bytes of declared free space come with one free inode.
const InodeRatio = 16 * units.KiB

// DoesNotFit is the error for a fixed size below what the content needs.
type DoesNotFit struct {
	Needed, Given int64 // bytes
	Inodes        int64 // that are needed, where the file system has a number of them
}

// Error implements error.
func (d *DoesNotFit) Error() string {
	text := fmt.Sprintf("%s (%d bytes) is smaller than its content, which needs %s (%d bytes)",
		units.FormatBytes(d.Given), d.Given, units.FormatBytes(d.Needed), d.Needed)
	if d.Inodes > 0 {
		text += fmt.Sprintf(" and %d inodes", d.Inodes)
	}
	return text
}

// A Describer is a Maker that can say more of itself.
type Describer interface{ Stats() Stats }

// StatsOf asks a Maker for what it says of itself.
func StatsOf(m Maker) Stats {
	if d, ok := m.(Describer); ok {
		return d.Stats()
	}
	return Stats{Exact: true}
}
