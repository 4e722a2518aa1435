// Package mke2fs makes an ext4 file system of a file tree with the host's e2fsprogs, without root, fakeroot, user namespaces or a mount. The
// same tree and options give the same bytes on every machine with the same version.
//
// mke2fs makes an empty file system in a region of the disk file. debugfs fills it from a script, with one command for each inode and one for
// each of its attributes, so that owners, times and extended attributes of the host's files do not matter. e2fsck -D then indexes the
// directories (debugfs leaves them as unsorted lists, which the kernel would search from the start for every name) and checks the result: it
// must not report anything else.
//
// debugfs 1.47.0 searches the whole directory for every name that it adds, so the time grows with the square of the number of names: 10,000
// names of 40 bytes in one directory take 4 s, 20,000 take 17 s. 30,000 files of 3 kB in directories of 100 take 1 s.
//
// The tools take configuration and time from their environment: mke2fs.conf(5), e2fsck.conf(5), E2FSPROGS_FAKE_TIME and E2FSCK_TIME; this
// package sets all of them. It was tested with versions 1.47.0 and 1.47.4.
package mke2fs

import (
	"fmt"
	"math"
	"strings"

	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// Options are the properties of the file system. UUID and HashSeed must be set.
type Options struct {
	Size       int64      // of the region in bytes, of which whole blocks of 4096 are used; 0 for a size with room for the tree and Free
	Free       int64      // bytes that stay free
	FreeInodes int64      // inodes that stay free; one for each 16 KiB of free space if that is more
	Label      string     // at most 16 bytes
	UUID       repro.UUID // of the file system
	HashSeed   repro.UUID // of the directory indexes
	Epoch      int64      // atime, ctime and crtime of every inode, in seconds since 1970; the superblock has 1 if it is less
	Scratch    string     // directory for scratch files; "" is the directory of the disk file
}

// maxLabel is the length of s_volume_name in bytes.
const maxLabel = 16

// A Plan is a file system that can be made and fits into its size.
type Plan struct {
	tree   *tree.Tree
	opts   Options
	census census
	layout layout
	size   int64
}

// New plans a file system for the tree. The error is a [*SizeError] if the tree may not fit into Options.Size; for a node that ext4 cannot hold,
// or a debugfs script cannot express, it has the path. Contents are not opened.
func New(t *tree.Tree, o Options) (*Plan, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	c, err := survey(t)
	if err != nil {
		return nil, err
	}
	p := &Plan{tree: t, opts: o, census: c, size: o.Size}
	if p.layout, err = fit(c, o); err != nil {
		return nil, err
	}
	if o.Size == 0 {
		p.size = p.layout.blocks * blockSize
	}
	return p, nil
}

// Size returns the length of the region in bytes.
func (p *Plan) Size() int64 { return p.size }

// Inodes returns the number of inodes of the file system, including used and reserved ones.
func (p *Plan) Inodes() int64 { return p.layout.groups() * p.layout.inodesPerGroup() }

// Scratch returns an upper bound of the bytes of scratch files at any time: the contents of two batches, each of which may end with a large
// file.
func (p *Plan) Scratch() int64 {
	var all, largest int64
	for n := range p.tree.Nodes() {
		if n.Kind() == tree.File {
			size := units.Align(n.Size(), blockSize)
			all, largest = all+size, max(largest, size)
		}
	}
	return min(all, 2*(batchScratch+largest))
}

func (o Options) check() error {
	switch {
	case o.UUID == repro.UUID{} || o.HashSeed == repro.UUID{}:
		return fmt.Errorf("plan ext4: no UUID or no hash seed")
	case len(o.Label) > maxLabel || strings.ContainsRune(o.Label, 0):
		return fmt.Errorf("plan ext4: label %q has %d bytes; it can have %d, and no NUL", o.Label, len(o.Label), maxLabel)
	case o.Size < 0 || o.Free < 0 || o.FreeInodes < 0 || o.FreeInodes > math.MaxUint32 || max(o.Size, o.Free) >= maxBlocks*blockSize:
		return fmt.Errorf("plan ext4: size %d, free %d bytes, free %d inodes: each must be at least 0 and below %s and 2^32",
			o.Size, o.Free, o.FreeInodes, units.FormatBytes(maxBlocks*blockSize))
	case !validTime(tree.Time{Sec: o.Epoch}):
		return fmt.Errorf("plan ext4: epoch %d is not between %d and %d, which ext4 can store", o.Epoch, minTime, maxTime)
	}
	return nil
}

// A SizeError reports that a tree may not fit into Size bytes. Need bytes are always enough.
type SizeError struct{ Size, Need int64 }

// Error implements error.
func (e *SizeError) Error() string {
	return fmt.Sprintf("plan ext4: %s (%d bytes) may be too small for the tree, %s (%d bytes) are always enough",
		units.FormatBytes(e.Size), e.Size, units.FormatBytes(e.Need), e.Need)
}
