package ext4

import (
	"cmp"
	"slices"

	"imprint/internal/units"
)

// flexGroups is how many block groups keep their bitmaps and inode tables together (kernel: "Flexible Block Groups"): 16, as with mke2fs.
const (
	logFlexGroups = 4
	flexGroups    = 1 << logFlexGroups
)

// A format is the part of the options that every structure depends on. All parts of a plan point to the same one.
type format struct {
	blockSize int64
	features  featureSet
}

func (f *format) maxPerGroup() int64    { return 8 * f.blockSize } // blocks, or inodes, that one bitmap block covers
func (f *format) inodesPerBlock() int64 { return f.blockSize / inodeSize }
func (f *format) pointers() int64       { return f.blockSize / 4 } // block numbers in an indirect block

// densePerGroup returns the number of inodes in a group when there are more inodes than groups of full size can have, so that groups must be
// smaller. It is half of what a bitmap covers: shorter inode tables fit more easily between the superblocks.
func (f *format) densePerGroup() int64 { return f.maxPerGroup() / 2 }

// descSize returns the size of a group descriptor in bytes.
func (f *format) descSize() int64 {
	if f.features.has(bit64) {
		return 64
	}
	return 32
}

// firstBlock returns the first block of the first group: the one that contains the superblock, which is always at byte 1024.
func (f *format) firstBlock() int64 {
	if f.blockSize == 1024 {
		return 1
	}
	return 0
}

// maxBlocks returns the size of the largest file system in blocks. The tables of a plan have block numbers of 32 bits, and a copy of the
// descriptors should fill at most half of a group.
func (f *format) maxBlocks() int64 {
	descriptors := f.maxPerGroup() / 2 * (f.blockSize / f.descSize())
	limit := min(1<<32, descriptors*f.maxPerGroup())
	if !f.features.has(bit64) {
		limit = min(limit, 1<<32-1)
	}
	return limit
}

// A request is the numbers that decide a geometry.
type request struct {
	blocks  int64 // of the file system
	inodes  int64 // at least this many
	journal int64 // blocks; 0: none
	growth  int64 // blocks to which the reserved group descriptors let the file system grow
}

// A structure is a run of blocks whose location does not depend on the tree.
type structure struct {
	start, blocks int64
	kind          structureKind
	group         int64 // the group it describes, or the first one of several
}

func (s structure) end() int64 { return s.start + s.blocks }

type structureKind uint8

const (
	superCopy    structureKind = iota // superblock, descriptors, reserved descriptors
	blockBitmaps                      // of the groups of a flex group
	inodeBitmaps                      // of the groups of a flex group
	inodeTable                        // the inode table of one group
)

// A geometry is the frame of a file system: its groups, and the locations of all structures that do not depend on the content.
type geometry struct {
	*format
	request
	perGroup       int64 // blocks in a group
	groups         int64
	inodesPerGroup int64
	descBlocks     int64   // blocks of group descriptors in each copy
	reservedDesc   int64   // blocks after them for the descriptors of further groups
	copies         []int64 // groups that begin with a copy of the superblock
	group          []groupLocations
	fixed          []structure // sorted by start
	tape           tape
}

// groupLocations are the blocks that a group descriptor points to.
type groupLocations struct{ blockBitmap, inodeBitmap, inodeTable int64 }

// newGeometry lays out the frame for a request, which may be too small for it: see missing.
func newGeometry(f *format, r request) *geometry {
	g := &geometry{format: f, request: r, perGroup: f.maxPerGroup()}
	span := r.blocks - f.firstBlock()
	// The number of inodes per group is bounded by a bitmap of one block. If the full-size groups cannot have enough of them, the groups are
	// made smaller, and so more.
	if r.inodes > units.Blocks(span, g.perGroup)*f.maxPerGroup() {
		g.perGroup = units.Align(units.Blocks(span, units.Blocks(r.inodes, f.densePerGroup())), 8)
	}
	g.groups = units.Blocks(span, g.perGroup)
	g.inodesPerGroup = units.Align(units.Blocks(r.inodes, g.groups), max(8, f.inodesPerBlock()))
	g.descBlocks, g.reservedDesc = g.descriptors()
	g.allocate()
	return g
}

// descriptors returns the number of blocks with group descriptors, and of blocks reserved after them so that the file system can grow online:
// like mke2fs, enough for 1024 times the size, but no more than one double indirect block can list, and at most a 16th of a group.
func (g *geometry) descriptors() (used, reserved int64) {
	perBlock := g.blockSize / g.descSize()
	used = units.Blocks(g.groups, perBlock)
	if !g.features.has(resizeInode) {
		return used, 0
	}
	grown := units.Blocks(min(g.growth, 1<<32-1)-g.firstBlock(), g.perGroup)
	reserved = units.Blocks(grown, perBlock) - used
	return used, max(0, min(reserved, g.pointers(), g.perGroup/16))
}

func (g *geometry) tableBlocks() int64           { return g.inodesPerGroup / g.inodesPerBlock() }
func (g *geometry) groupStart(group int64) int64 { return g.firstBlock() + group*g.perGroup }

// groupBlocks returns the number of blocks in a group, which are fewer in the last one.
func (g *geometry) groupBlocks(group int64) int64 {
	return min(g.perGroup, g.blocks-g.groupStart(group))
}

// superBlocks returns the number of blocks that a copy of the superblock takes, including the descriptors after it.
func (g *geometry) superBlocks() int64 { return 1 + g.descBlocks + g.reservedDesc }

// flex returns the number of groups in a flex group.
func (g *geometry) flex() int64 {
	if g.features.has(flexBG) {
		return flexGroups
	}
	return 1
}

// hasSuper reports whether a group begins with a copy of the superblock: groups 0, 1 and the powers of 3, 5 and 7 do (kernel:
// "Sparse Superblocks").
func hasSuper(group int64) bool {
	return group <= 1 || powerOf(group, 3) || powerOf(group, 5) || powerOf(group, 7)
}

func powerOf(n, base int64) bool {
	for n > 1 && n%base == 0 {
		n /= base
	}
	return n == 1
}

// allocate assigns blocks to every fixed structure: first the superblocks, since the format fixes them, then for each flex group its block
// bitmaps, inode bitmaps and inode tables, from its start on and around the superblocks.
func (g *geometry) allocate() {
	for n := range g.groups {
		if hasSuper(n) {
			g.copies = append(g.copies, n)
			g.fixed = append(g.fixed, structure{g.groupStart(n), g.superBlocks(), superCopy, n})
		}
	}
	g.group = make([]groupLocations, g.groups)
	k := packer{around: g.fixed}
	for first := int64(0); first < g.groups; first += g.flex() {
		k.at = max(k.at, g.groupStart(first))
		g.allocateFlexGroup(&k, first)
	}
	byStart := func(a, b structure) int { return cmp.Compare(a.start, b.start) }
	slices.SortFunc(g.fixed, byStart)
	g.tape = newTape(g.fixed, g.blocks)
}

// allocateFlexGroup allocates the block bitmaps of a flex group in one run, then its inode bitmaps in one run, then each inode table.
func (g *geometry) allocateFlexGroup(k *packer, first int64) {
	n := min(g.flex(), g.groups-first)
	add := func(kind structureKind, group, blocks int64) int64 {
		p := structure{k.allocate(blocks), blocks, kind, group}
		g.fixed = append(g.fixed, p)
		return p.start
	}
	blocksAt := add(blockBitmaps, first, n)
	inodesAt := add(inodeBitmaps, first, n)
	for i := range n {
		g.group[first+i] = groupLocations{blocksAt + i, inodesAt + i, add(inodeTable, first+i, g.tableBlocks())}
	}
}

// A packer allocates contiguous runs of blocks in ascending order, around existing structures.
type packer struct {
	at     int64
	around []structure
}

// allocate returns the start of a run of blocks: after the last one, or after the structure that it would overlap.
func (k *packer) allocate(blocks int64) (start int64) {
	for len(k.around) > 0 && k.around[0].start < k.at+blocks {
		k.at = max(k.at, k.around[0].end())
		k.around = k.around[1:]
	}
	start = k.at
	k.at += blocks
	return start
}

// spareInLast is the number of blocks that the last group must have beyond its own structures; mke2fs and resize2fs drop a smaller group.
const spareInLast = 50

// lastGroup returns the number of blocks of the last group if it is not full, else 0, and the number that it must have.
func (g *geometry) lastGroup() (has, must int64) {
	has = (g.blocks - g.firstBlock()) % g.perGroup
	must = 2 + g.tableBlocks() + spareInLast
	if hasSuper(g.groups - 1) {
		must += g.superBlocks()
	}
	return has, must
}

// missing returns a lower bound of the blocks that the frame itself lacks: for its structures, for a last group that is worth having and,
// without flex groups, for each group to contain its own structures.
func (g *geometry) missing() int64 {
	short := max(0, g.fixed[len(g.fixed)-1].end()-g.blocks)
	if has, must := g.lastGroup(); has > 0 {
		short = max(short, must-has)
	}
	if !g.features.has(flexBG) && 2+g.tableBlocks()+g.superBlocks() > g.perGroup {
		short = max(short, g.groups*8)
	}
	return short
}
