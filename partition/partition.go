// Package partition plans the content of one partition: a file system with a tree, or raw content. Which sub-package or host
// tool makes it is decided here; its offset on the disk is decided by the caller.
//
// Planning is arithmetic: [New] returns a [Maker], whose size and extents are known before a byte is written. Host tools are
// the exception: a [HostMade] is filled in place, and a [Packed] is made first.
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

// A Spec is a partition to be planned, complete except that its size may be open.
type Spec struct {
	Name       string
	Filesystem string   // name of one of [Filesystems]
	Engine     string   // one of that file system's engines
	Features   []string // of ext4, in the syntax of mke2fs -O
	FATBits    int      // bits of an entry of a FAT: 12, 16 or 32; 0 to choose by size
	FATHint    int      // likewise, for a volume that is large enough; FATBits excludes it
	Label      string
	UUID       repro.UUID // of the file system
	Serial     uint32     // of a FAT volume, instead of a UUID
	HashSeed   repro.UUID // of ext4's directory index
	Modified   int64      // of an ISO 9660 volume, seconds since 1970; serves as its identifier
	Epoch      int64      // seconds since 1970
	SectorSize int64      // bytes
	Offset     int64      // of the region on the disk, bytes
	Size       int64      // bytes; 0 fits the content, but is at least MinSize
	MinSize    int64      // bytes
	Free       int64      // bytes to leave free if Size is 0
	Tree       *tree.Tree
	Packing    Packing   // of a file system that can be compressed
	Syslinux   bool      // install SYSLINUX on it
	Hybrid     Hybrid    // of an ISO 9660 image
	Content    tree.Blob // of a partition without a file system
	Scratch    string    // directory for temporary files of host tools

	Stable  bool    // later volumes should have what does not change where this one has it
	Earlier *Places // with Stable: of the volume before this one, nil for the first
}

// A Packing says how a file system is compressed; the zero one is the default.
type Packing struct {
	Compressor string // the name of one of its compressors
	Level      int64  // from 1 on
	Block      int64  // bytes of the unit of compression
}

// A Maker is a planned partition: its size, and the extents of its region.
type Maker interface {
	extent.Source
	Size() int64 // bytes
}

// A Placer is a Maker that knows where the content of each file goes, so that files can be written in any order.
type Placer interface {
	Maker
	// Place appends the extents of a file's content to list, in the order of the content.
	Place(list []extent.Extent, file *tree.Node) []extent.Extent
	// Grain is the unit of allocation in bytes. The rest of a file's last unit belongs to nobody else, so a writer may fill it
	// with zeros.
	Grain() int64
}

// A HostMade is a Maker whose region a host tool fills in place. Its extents are not known.
type HostMade interface {
	Maker
	// Fill starts to fill the region at offset in the file, which reads as zeros so far.
	Fill(ctx context.Context, file string, offset int64) (Packer, error)
	// Scratch is an upper bound of the bytes of temporary files.
	Scratch() int64
}

// A Packer passes the nodes of a tree, in its order, to a host tool, and must be closed. The tool reads no source by path: all
// it sees of a file are the bytes that pass here, which are hashed on the way.
type Packer interface {
	// Add adds a node at a path. content writes a file's content to w; Add may not call it for a further name of a file.
	Add(path string, n *tree.Node, content func(w io.Writer) error) error
	// Close completes the file system. If nodes are missing, it aborts and returns an error.
	Close() error
}

// Stats describes a planned partition to the user.
type Stats struct {
	Exact      bool  // the size is exact, not an upper bound
	BlockSize  int64 // bytes; of FAT the cluster
	Inodes     int64 // used and free; 0 for FAT
	FreeInodes int64
	FreeBytes  int64
	Journal    int64 // bytes
	FATBits    int   // 12, 16 or 32
}

// InodeRatio is the number of bytes of requested free space for which one free inode is added.
const InodeRatio = 16 * units.KiB

// DoesNotFit is the error for a fixed size that is too small for the content.
type DoesNotFit struct {
	Needed, Given int64 // bytes
	Inodes        int64 // needed, if the file system has a fixed number
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

// A Describer is a Maker with Stats.
type Describer interface{ Stats() Stats }

// StatsOf returns the Stats of a Maker, zero if it has none.
func StatsOf(m Maker) Stats {
	if d, ok := m.(Describer); ok {
		return d.Stats()
	}
	return Stats{Exact: true}
}
