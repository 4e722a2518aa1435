package ext4

import (
	"fmt"

	"imprint/internal/fault"
)

// Check reads all structure and reports every fault that it finds, in the order of e2fsck's passes: superblocks, group descriptors, inodes
// with the blocks they map, directories, link counts, bitmaps and free counts. Contents are not read. A fault of a block that two things use
// is reported for the one that was found later. Paths are those of Tree; after Open there are none.
func (v *Volume) Check(report fault.Report) { newChecker(v, report, nil).run() }

// A checker checks all structure once.
type checker struct {
	*reader
	volume *Volume
	w      *windows
	report fault.Report
	take   func(claim) // called for every use of blocks; may be nil

	used      bitset            // blocks in use
	states    pages[inodeState] // by inode number
	inUse     []uint32          // all inodes in use that are not reserved
	dirs      []uint32
	orphans   map[uint32]bool
	xattrRefs map[int64]*xattrRefs
	valueRefs map[uint32]uint64 // uses of inodes that hold values of attributes
	names     map[string]bool   // in the directory that is being checked

	freeClusters, freeInodes int64
}

// xattrRefs counts the inodes that use a block of attributes.
type xattrRefs struct{ said, found uint32 }

// An inodeState is the state of an inode in use, collected over all passes.
type inodeState struct {
	kind   uint8 // as in directory entries; 0: not in use
	marks  uint8
	links  uint16 // as the inode has it
	names  uint32 // directory entries that lead to it
	subs   uint32 // directories in it
	parent uint32 // of a directory: where its name is
	dotdot uint32 // of a directory: the inode that its ".." leads to
}

// Marks of inodes.
const (
	valueMark  = 1 << iota // holds the value of an attribute
	hiddenMark             // belongs to the file system itself: no name leads to it
	rootedMark             // a directory that the root leads to
	loopMark               // a directory that lies in itself, or below one that does
	sharedMark             // some of its blocks are in use by something else
)

// A claim is a use of blocks.
type claim struct {
	start, blocks int64
	kind          claimKind
	owner         int64 // an inode or, for the kinds before ownedByInode, a group
	logical       int64 // of content: the first block in the file; of a map's block: its level
}

type claimKind uint8

const (
	bootClaim claimKind = iota
	superClaim
	descClaim
	reservedDescClaim
	blockBitmapClaim
	inodeBitmapClaim
	inodeTableClaim
	mmpClaim
	ownedByInode
	contentClaim = ownedByInode + iota
	unwrittenClaim
	mapClaim
	xattrClaim
)

func newChecker(v *Volume, report fault.Report, take func(claim)) *checker {
	return &checker{
		reader: v.reader, volume: v, w: v.newWindows(), report: report, take: take,
		orphans: map[uint32]bool{}, xattrRefs: map[int64]*xattrRefs{}, valueRefs: map[uint32]uint64{}, names: map[string]bool{},
	}
}

func (c *checker) run() {
	c.survey()
	c.checkSharing()
	for _, number := range c.dirs {
		c.checkDir(number)
	}
	c.checkLinks()
	for group := range c.groups {
		c.checkBlockBitmap(group)
	}
	c.checkCounts()
}

// survey checks everything that uses blocks.
func (c *checker) survey() {
	c.checkSuper()
	c.checkSuperCopies()
	c.checkOrphanList()
	for group := range c.groups {
		c.checkGroup(group)
	}
	c.checkMMP()
	for group := range c.groups {
		c.checkInodes(group)
	}
}

// fault reports a fault of a structure at an offset.
func (c *checker) fault(at int64, object, format string, args ...any) {
	c.report(fault.Fault{Offset: at, Object: object, Text: fmt.Sprintf(format, args...)})
}

// mismatch reports a field that has another value than it should.
func (c *checker) mismatch(at int64, object, field string, found, expected any) {
	c.fault(at, object, "%s", fault.Mismatch(field, found, expected))
}

// inodeFault is fault for a structure that belongs to an inode.
func (c *checker) inodeFault(number uint32, at int64, format string, args ...any) {
	c.report(fault.Fault{
		Offset: at, Path: c.volume.paths()[number], Object: fmt.Sprintf("inode %d", number), Text: fmt.Sprintf(format, args...),
	})
}

// read reads a structure and reports a failure.
func (c *checker) read(at, n int64, object func() string) []byte {
	b, err := c.w.read(at, n)
	if err != nil {
		c.fault(at, object(), "cannot be read: %v", err)
		return nil
	}
	return b
}

// claim marks blocks as in use. It returns false, and calls fault, if any of them is in use already or lies outside of the file system.
func (c *checker) claim(m claim, fault func(format string, args ...any)) bool {
	if m.start < 0 || m.blocks < 1 || m.start > c.blocks-m.blocks {
		fault("blocks %d to %d are outside of the file system's %d", m.start, m.start+m.blocks-1, c.blocks)
		return false
	}
	if c.take != nil {
		c.take(m)
	}
	twice, ok := c.used.set(m.start, m.blocks)
	if ok && !(c.features.has(sharedBlocks) && m.kind == contentClaim) {
		fault("block %d is in use by something else too", twice)
	}
	return !ok
}

// zeroBytes reports whether all bytes are zero.
func zeroBytes(b []byte) bool {
	for len(b) >= 8 {
		if le.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}
