package iso9660

import (
	"encoding/binary"
	"sort"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// A path table lists all directories by level, within a level by parent, and then by identifier (ECMA-119, 6.9). There are two, with
// little-endian numbers (type L) and big-endian ones (type M; ECMA-119, 6.9.2). Linux and GRUB read neither.
//
// A record has the number of the parent in the table, in 16 bits. A directory whose parent has a higher number cannot be recorded, so the
// table ends before it; mkisofs refuses such a tree or, if forced, records the root as the parent.
type pathTable struct {
	dirs  []int32 // index of every directory, in the order of the table
	size  int64   // bytes
	marks []pathMark
}

// A pathMark is the record in which a block of a path table begins, by its index, and how many of its bytes are in the block before.
type pathMark struct{ index, skip int32 }

const (
	pathHeader = 8 // bytes before the identifier
	maxParent  = 1<<16 - 1
)

func (t *pathTable) blocks() int64 { return units.Blocks(t.size, block) }

// numberPaths numbers the directories and measures the path tables.
func (c *content) numberPaths() {
	t := &c.paths
	t.dirs = append(make([]int32, 0, len(c.dirs)), 0)
	for k := 0; k < len(t.dirs); k++ {
		d := &c.dirs[t.dirs[k]]
		d.number = uint32(k) + 1
		for _, id := range c.order[d.order:][:d.children] {
			if c.tree.Node(int(id)).Kind() == tree.Dir {
				t.dirs = append(t.dirs, c.dirIndex(id))
			}
		}
	}
	fits := sort.Search(len(t.dirs), func(k int) bool { return c.dirs[c.dirs[t.dirs[k]].parent].number > maxParent })
	t.dirs = t.dirs[:fits]
	for k, index := range t.dirs {
		end := t.size + int64(c.pathRecordSize(&c.dirs[index]))
		for int64(len(t.marks))*block < end {
			t.marks = append(t.marks, pathMark{int32(k), int32(int64(len(t.marks))*block - t.size)})
		}
		t.size = end
	}
}

func (c *content) pathRecordSize(d *dir) int {
	if d.id == 0 {
		return pathHeader + even(len(selfID))
	}
	return pathHeader + even(c.ident(c.tree.Node(int(d.id))).identifierSize(true))
}

// putPathBlock writes block i of a path table whose numbers have that byte order.
func (v view) putPathBlock(b []byte, i int64, order binary.ByteOrder) {
	m := v.paths.marks[i]
	var buf [pathHeader + maxIdent + 1]byte
	for _, index := range v.paths.dirs[m.index:] {
		clear(buf[:])
		n := v.putPathRecord(buf[:], &v.content.dirs[index], order)
		b = b[copy(b, buf[m.skip:n]):]
		if m.skip = 0; len(b) == 0 {
			return
		}
	}
}

// putPathRecord writes a record (ECMA-119, 9.4) into zeros and returns its length:
//
//	0  1  length of the identifier
//	1  1  blocks of an extended attribute record: 0
//	2  4  block of the directory
//	6  2  number of the parent; the root's is its own
//	8     identifier, and a zero if its length is odd
func (v view) putPathRecord(b []byte, d *dir, order binary.ByteOrder) int {
	id := append(b[pathHeader:pathHeader], selfID...)
	if d.id != 0 {
		id = v.ident(v.tree.Node(int(d.id))).appendIdentifier(id[:0], true)
	}
	b[0] = byte(len(id))
	order.PutUint32(b[2:], uint32(v.dirStart(d)))
	order.PutUint16(b[6:], uint16(v.content.dirs[d.parent].number))
	return pathHeader + even(len(id))
}
