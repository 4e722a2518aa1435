package ext4

import (
	"fmt"
	"slices"

	"imprint/internal/counterpart"
	"imprint/internal/gaps"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// A Kept says how much of a file system is where an earlier one had it.
type Kept struct {
	Anew   string // why all of it was laid out anew; "" if it was not
	Blocks int64  // of what is generated for the tree and of files, where something at the same path was
	Moved  int64  // of the rest of that
}

// mostLarger is how much larger than one that is laid out anew a file system may be that keeps places, in percent, when no size is given.
const mostLarger = 10

// keep lays out the tree so that what an earlier file system had is where it was. fresh is the geometry of a layout anew. The inventory
// that it returns has other inode numbers and positions; it is nil, with the reason, if a layout anew is better.
func (c *inventory) keep(o *Options, fresh *geometry) (*inventory, *placement, *Kept) {
	e := o.Earlier
	if why := c.refuse(o, fresh); why != "" {
		return nil, nil, &Kept{Anew: why}
	}
	copied := *c
	copied.ino, copied.at, copied.dirs = slices.Clone(c.ino), slices.Clone(c.at), slices.Clone(c.dirs)
	k := &keeper{inventory: &copied, earlier: e, options: o, like: c.like(e.tree), place: &placement{split: map[int32]*split{}}}
	for _, step := range []func() string{k.numberInodes, k.keepAll, k.placeAll, k.settle} {
		if why := step(); why != "" {
			return nil, nil, &Kept{Anew: why}
		}
	}
	return k.inventory, k.place, &k.report
}

// refuse says why the geometry of the earlier file system cannot stay, "" if it can.
func (c *inventory) refuse(o *Options, fresh *geometry) string {
	e := o.Earlier
	features := c.features
	if e.geometry.journal == 0 {
		features &^= 1 << hasJournal
	}
	switch {
	case e.blockSize != c.blockSize || e.features != features:
		return "the file system has other features"
	case o.Size != 0 && e.blocks != fresh.blocks:
		return fmt.Sprintf("the size has changed from %s to %s", units.FormatBytes(e.blocks*e.blockSize), units.FormatBytes(fresh.blocks*c.blockSize))
	case o.JournalSize != 0 && e.geometry.journal != o.JournalSize/o.BlockSize:
		return "the journal has another size"
	case o.Size == 0 && e.blocks < units.Blocks(o.MinSize, c.blockSize):
		return "the smallest size has changed"
	case o.Size == 0 && e.blocks-fresh.blocks > fresh.blocks/100*mostLarger:
		return fmt.Sprintf("%s are enough, and it has %s", units.FormatBytes(fresh.blocks*c.blockSize), units.FormatBytes(e.blocks*e.blockSize))
	}
	return ""
}

// like returns, by node ID, lost+found included, the node of the earlier tree in whose place one comes, or -1.
func (c *inventory) like(earlier *tree.Tree) []int32 {
	list := append(counterpart.Of(c.tree, earlier), -1)
	if lost := earlier.Find("/lost+found"); c.own != nil && lost != nil {
		list[c.lost] = int32(lost.Inode().ID())
	}
	return list
}

// A keeper lays out a tree with the geometry of an earlier file system: what is in the place of something keeps its inode and its blocks, and
// the rest comes into gaps.
type keeper struct {
	*inventory
	earlier *Places
	options *Options
	like    []int32 // by node ID: the node of the earlier tree in whose place it comes, or -1
	place   *placement
	blocks  []uint32 // of files, by node ID
	known   bitset   // positions that are kept
	taken   []span
	gaps    *gaps.Gaps
	report  Kept
}

// was returns the place of what was where a node comes, nil if there was nothing.
func (k *keeper) was(id int32) *place {
	if old := k.like[id]; old >= 0 {
		return &k.earlier.nodes[old]
	}
	return nil
}

// numberInodes gives nodes the inodes that they had, and others the lowest that are free.
func (k *keeper) numberInodes() string {
	all := k.earlier.groups * k.earlier.inodesPerGroup
	if missing := k.inodes() + k.options.FreeInodes - all; missing > 0 {
		return fmt.Sprintf("there are %d inodes too few", missing)
	}
	used := int64(len(k.nodes))
	nodes := make([]int32, min(all-firstInode+1, 4*used+1<<16))
	for i := range nodes {
		nodes[i] = freeInode
	}
	last := -1
	var rest []int32
	for _, id := range k.nodes {
		old := k.was(id)
		if old == nil || int64(old.ino)-firstInode >= int64(len(nodes)) || old.ino < firstInode || nodes[old.ino-firstInode] != freeInode {
			rest = append(rest, id)
			continue
		}
		i := int(old.ino - firstInode)
		nodes[i], k.ino[id], last = id, old.ino, max(last, i)
	}
	free := 0
	for _, id := range rest {
		for nodes[free] != freeInode {
			free++
		}
		nodes[free], k.ino[id], last = id, uint32(firstInode+free), max(last, free)
	}
	k.nodes = nodes[:last+1]
	k.freed = int64(last+1) - used
	for n := range k.tree.Nodes() {
		if n.Kind() == tree.Link {
			k.ino[n.ID()] = k.ino[n.Inode().ID()]
		}
	}
	return ""
}

// keepSpan keeps positions, unless they are taken or not on the tape.
func (k *keeper) keepSpan(s span) bool {
	if s.From < 0 || s.To > k.earlier.tape.blocks() || s.Len() <= 0 || k.known.count(s.From, s.Len()) > 0 {
		return false
	}
	k.known.set(s.From, s.Len())
	k.taken = append(k.taken, s)
	k.report.Blocks += s.Len()
	return true
}

// withTree returns the positions of blocks from at on, and of the extent tree after them.
func (k *keeper) withTree(at, blocks int64) span {
	t := extentTree{extents: k.earlier.tape.mappings(nil, []run{{0, blocks}}, at)}
	return between(at, at+blocks+k.treeBlocks(int64(len(t.extents))))
}

// keepRun keeps the place of something of a number of blocks that is one run, with its extent tree after it, and returns its position, or
// noPosition.
func (k *keeper) keepRun(id int32, blocks int64) uint32 {
	old := k.was(id)
	if old == nil || int64(old.blocks) < blocks || int64(old.at)+blocks > k.earlier.tape.blocks() || !k.keepSpan(k.withTree(int64(old.at), blocks)) {
		return noPosition
	}
	return old.at
}

// keepAll keeps what can stay.
func (k *keeper) keepAll() string {
	e, p := k.earlier, k.place
	if k.features.has(resizeInode) && !k.keepSpan(between(0, 1)) {
		return errOtherLayout.Error()
	}
	if p.journal = e.journalPosition; e.geometry.journal > 0 {
		if p.journal+e.geometry.journal > e.tape.blocks() || !k.keepSpan(k.withTree(p.journal, e.geometry.journal)) {
			return errOtherLayout.Error()
		}
	}
	k.report.Blocks = 0 // of contents
	for i := range k.dirs {
		k.dirs[i].at = k.keepRun(k.dirs[i].id, int64(k.dirs[i].blocks))
	}
	for _, id := range k.slow {
		p.slowAt = append(p.slowAt, k.keepRun(id, 1))
	}
	k.keepXattrs()
	k.blocks = make([]uint32, k.tree.Len())
	for id := range k.blocks {
		k.blocks[id] = k.at[id+1] - k.at[id]
	}
	for id := range k.blocks {
		if k.at[id] = noPosition; k.blocks[id] > 0 {
			k.keepFile(int32(id), int64(k.blocks[id]))
		}
	}
	return ""
}

// keepXattrs keeps the places of blocks of extended attributes: those of the first node that has one.
func (k *keeper) keepXattrs() {
	at := make([]uint32, len(k.xattrs.blocks))
	for i := range at {
		at[i] = noPosition
	}
	for _, u := range k.xattrs.uses {
		if old := k.was(u.id); at[u.block] == noPosition && old != nil && old.xattr != noPosition && k.keepSpan(between(int64(old.xattr), int64(old.xattr)+1)) {
			at[u.block] = old.xattr
		}
	}
	k.place.xattrAt = at
}

// leastPiece is the number of blocks of the smallest file that is continued in another place when it grows.
const leastPiece = 16

// keepFile keeps the place of a file, as far as that is long enough.
func (k *keeper) keepFile(id int32, blocks int64) {
	old := k.was(id)
	if old == nil || old.blocks == 0 || blocks > int64(old.blocks) && old.blocks < leastPiece {
		return
	}
	pieces := k.earlier.pieces[k.like[id]]
	if pieces == nil {
		pieces = []span{between(int64(old.at), int64(old.at)+int64(old.blocks))}
	}
	own := &split{tree: -1}
	for _, s := range pieces {
		if s.To = min(s.To, s.From+blocks); blocks == 0 || !k.keepSpan(s) {
			break
		}
		own.pieces = append(own.pieces, s)
		blocks -= s.Len()
	}
	if len(own.pieces) == 0 {
		return
	}
	k.place.split[id] = own
	tree, has := k.earlier.trees[k.like[id]]
	if n := k.treeOf(id); blocks == 0 && n > 0 && has && k.keepSpan(between(tree, tree+n)) {
		own.tree = tree
	}
	k.ready(id, blocks)
}

// ready notes a file that lies in one run, and has no extent tree, as such. rest is the number of blocks that it still lacks.
func (k *keeper) ready(id int32, rest int64) {
	if own := k.place.split[id]; rest == 0 && len(own.pieces) == 1 && k.treeOf(id) == 0 {
		k.at[id] = uint32(own.pieces[0].From)
		delete(k.place.split, id)
	}
}

// treeOf returns the number of blocks of the extent tree over the pieces of a file so far.
func (k *keeper) treeOf(id int32) int64 {
	own, skip := k.place.split[id], int64(0)
	runs := k.fileRuns(nil, k.tree.Node(int(id)))
	var maps []mapping
	for _, s := range own.pieces {
		maps = k.earlier.tape.mappings(maps, cutRuns(runs, skip, s.Len()), s.From)
		skip += s.Len()
	}
	return k.treeBlocks(int64(len(maps)))
}
