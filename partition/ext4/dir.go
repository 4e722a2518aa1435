package ext4

import (
	"fmt"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// Directory entries (kernel: "Linear (Classic) Directories"): inode, length of the record, length of the name, type, name.
const (
	entryHeader = 8
	dotSize     = 12 // of the records for "." and ".."
	dirTail     = 12 // the record at a block's end that holds its checksum
	dirTailType = 0xde
)

// entryTypes is the file type in a directory entry, by kind of node.
var entryTypes = [...]uint8{
	tree.File: 1, tree.Dir: 2, tree.CharDevice: 3, tree.BlockDevice: 4, tree.Fifo: 5, tree.Socket: 6, tree.Symlink: 7,
}

// entrySize returns the length of the record of a name, a multiple of 4.
func entrySize(name string) int64 { return units.Align(entryHeader+int64(len(name)), 4) }

// dirRoom returns the number of bytes for entries in a block.
func (f *format) dirRoom() int64 {
	if f.features.has(metadataCsum) {
		return f.blockSize - dirTail
	}
	return f.blockSize
}

// An entry is a name in a directory.
type entry struct {
	name string
	ino  uint32
	kind uint8
}

// entries returns the number of names in a directory without "." and "..".
func (c *inventory) entries(d *dir) int {
	n := len(c.node(d.id).Children())
	if d.id == 0 && c.own != nil {
		n++
	}
	return n
}

// entry returns entry i of a directory: those of the tree in its order, then lost+found if it is not in the tree.
func (c *inventory) entry(d *dir, i int) entry {
	children := c.node(d.id).Children()
	if i == len(children) {
		return entry{c.own.Name, lostFoundInode, entryTypes[tree.Dir]}
	}
	n := children[i]
	return entry{n.Name, c.ino[n.ID()], entryTypes[n.Inode().Kind()]}
}

// name is entry(d, i).name, but can be called before inodes have numbers.
func (c *inventory) name(d *dir, i int) string {
	children := c.node(d.id).Children()
	if i == len(children) {
		return c.own.Name
	}
	return children[i].Name
}

// kind returns the kind of an entry's node.
func (c *inventory) kind(d *dir, i int) tree.Kind {
	children := c.node(d.id).Children()
	if i == len(children) {
		return tree.Dir
	}
	return children[i].Kind()
}

// measureDir divides the names of a directory among blocks.
func (c *inventory) measureDir(d *dir) error {
	used := int64(2 * dotSize)
	for i := range c.entries(d) {
		used += entrySize(c.name(d, i))
		if c.kind(d, i) == tree.Dir {
			d.subdirs++
		}
	}
	if d.blocks = 1; d.id == c.lost {
		d.blocks = uint32(lostFoundBytes / c.blockSize)
	}
	if used > c.dirRoom() {
		if err := c.measureLeaves(d); err != nil {
			return err
		}
	}
	if counted := c.features.has(dirNlink) && d.indexed(); !counted && d.subdirs+2 > maxLinks {
		return fmt.Errorf("has %d subdirectories, %d are allowed without the features dir_nlink and dir_index", d.subdirs, maxLinks-2)
	}
	return nil
}

// A dirLeaves lists the contents of the blocks of a directory that has several.
type dirLeaves struct {
	order []int32  // entries sorted by hash; nil without an index: they are in the order of their names
	first []uint32 // position in order of the first entry of each leaf
	nodes int64    // index nodes between root and leaves
}

func (d *dir) indexed() bool { return d.leaves != nil && d.leaves.order != nil }

// measureLeaves is measureDir for a directory that has names in several blocks.
func (c *inventory) measureLeaves(d *dir) error {
	if c.features.has(dirIndex) {
		return c.indexDir(d)
	}
	d.leaves = &dirLeaves{first: c.spread(d, nil, 2*dotSize)}
	d.blocks = max(d.blocks, uint32(len(d.leaves.first)))
	return nil
}

// spread fills blocks with entries in the given order, the first block from byte used on, and returns the position in order of each block's
// first entry.
func (c *inventory) spread(d *dir, order []int32, used int64) (first []uint32) {
	first = append(first, 0)
	for pos := range c.entries(d) {
		i := pos
		if order != nil {
			i = int(order[pos])
		}
		size := entrySize(c.name(d, i))
		if used+size > c.dirRoom() {
			first, used = append(first, uint32(pos)), 0
		}
		used += size
	}
	return first
}

// leaf returns the positions [from, to) of the entries in leaf i.
func (c *inventory) leaf(d *dir, i int64) (from, to int) {
	switch {
	case d.leaves == nil && i == 0:
		return 0, c.entries(d)
	case d.leaves == nil || i >= int64(len(d.leaves.first)):
		return 0, 0
	case i == int64(len(d.leaves.first))-1:
		return int(d.leaves.first[i]), c.entries(d)
	}
	return int(d.leaves.first[i]), int(d.leaves.first[i+1])
}

// dirLinks returns a directory's link count: its name, its "." and the ".." of each subdirectory. With dir_nlink, 1 means too many to count.
func (d *dir) dirLinks() uint16 {
	if n := d.subdirs + 2; n <= maxLinks {
		return uint16(n)
	}
	return 1
}

// A dirBlock is a block of a directory that is being filled with entries.
type dirBlock struct {
	b    []byte
	room int
	at   int
	last int // where the last record begins
}

func (c *inventory) newDirBlock(b []byte) *dirBlock { return &dirBlock{b: b, room: int(c.dirRoom())} }

// add appends a record, of the least length for its name: inode (4 bytes), length of the record (2), length of the name (1), file type (1), name.
// finish extends the last record.
func (w *dirBlock) add(e entry) {
	b := w.b[w.at:]
	size := int(entrySize(e.name))
	le.PutUint32(b[0:], e.ino)
	le.PutUint16(b[4:], uint16(size))
	b[6], b[7] = uint8(len(e.name)), e.kind
	copy(b[entryHeader:], e.name)
	w.last, w.at = w.at, w.at+size
}

// addDots adds the entries that every directory begins with.
func (w *dirBlock) addDots(self, parent uint32) {
	w.add(entry{".", self, entryTypes[tree.Dir]})
	w.add(entry{"..", parent, entryTypes[tree.Dir]})
}

// finish extends the last record, or an unused one in an empty block, to the end of the space for entries, and adds the tail with the
// checksum.
func (w *dirBlock) finish(sum checksum) {
	le.PutUint16(w.b[w.last+4:], uint16(w.room-w.last))
	if w.room == len(w.b) {
		return
	}
	tail := w.b[w.room:]
	le.PutUint16(tail[4:], dirTail)
	tail[7] = dirTailType
	le.PutUint32(tail[8:], uint32(sum.over(w.b[:w.room])))
}

// putDirBlock writes block i of a directory into a block of zeros.
func (c *inventory) putDirBlock(b []byte, d *dir, i int64, sum checksum) {
	if d.indexed() {
		c.putIndexedBlock(b, d, i, sum)
		return
	}
	w := c.newDirBlock(b)
	if i == 0 {
		w.addDots(c.ino[d.id], c.ino[d.parent])
	}
	from, to := c.leaf(d, i)
	for pos := from; pos < to; pos++ {
		w.add(c.entry(d, pos))
	}
	w.finish(sum)
}
