package ext4

import (
	"cmp"
	"fmt"
	"slices"

	"imprint/internal/units"
)

// Hash tree directories (kernel: "Hash Tree Directories"). Block 0 is the root; if it cannot hold the entries of all leaves, index nodes follow;
// then come the leaves in the order of their hashes. To readers without dir_index, root and nodes look like blocks of unused entries.
const (
	indexEntry   = 8  // hash and block; the first one of a node has limit and count in place of the hash
	rootHeader   = 32 // "." and ".." and the root's own fields
	nodeHeader   = 8  // one unused entry
	indexTail    = 8  // checksum
	hashHalfMD4  = 1
	rootInfoSize = 8
)

// indexLimit returns the number of entries that fit into a node with a header of that size.
func (f *format) indexLimit(header int64) int64 {
	if f.features.has(metadataCsum) {
		header += indexTail
	}
	return (f.blockSize - header) / indexEntry
}

func (f *format) rootLimit() int64 { return f.indexLimit(rootHeader) }
func (f *format) nodeLimit() int64 { return f.indexLimit(nodeHeader) }

// indexDir sorts a directory's names by hash and fills leaves with them.
func (c *inventory) indexDir(d *dir) error {
	l := &dirLeaves{order: c.hashOrder(d)}
	l.first = c.spread(d, l.order, 0)
	leaves := int64(len(l.first))
	if leaves > c.rootLimit() {
		l.nodes = units.Blocks(leaves, c.nodeLimit())
	}
	if l.nodes > c.rootLimit() {
		return fmt.Errorf("directory with %d entries needs %d blocks, an index can have %d",
			len(l.order), leaves, c.rootLimit()*c.nodeLimit())
	}
	d.leaves, d.blocks = l, uint32(1+l.nodes+leaves)
	return nil
}

// hashOrder returns the entries of a directory sorted by hash; entries with the same hash stay in their order.
func (c *inventory) hashOrder(d *dir) []int32 {
	type hashed struct {
		dirHash
		i int32
	}
	all := make([]hashed, c.entries(d))
	for i := range all {
		all[i] = hashed{c.hasher.hash(c.name(d, i)), int32(i)}
	}
	slices.SortFunc(all, func(a, b hashed) int {
		return cmp.Or(cmp.Compare(a.major, b.major), cmp.Compare(a.minor, b.minor), cmp.Compare(a.i, b.i))
	})
	order := make([]int32, len(all))
	for k, h := range all {
		order[k] = h.i
	}
	return order
}

// putIndexedBlock writes block i of an indexed directory into a block of zeros.
func (c *inventory) putIndexedBlock(b []byte, d *dir, i int64, sum checksum) {
	l := d.leaves
	switch {
	case i == 0:
		c.putRoot(b, d, sum)
	case i <= l.nodes:
		le.PutUint16(b[4:], uint16(c.blockSize))
		first := (i - 1) * c.nodeLimit()
		c.putIndex(b, nodeHeader, c.leafEntries(d, first, min(first+c.nodeLimit(), int64(len(l.first)))), sum)
	default:
		w := c.newDirBlock(b)
		from, to := c.leaf(d, i-1-l.nodes)
		for _, k := range l.order[from:to] {
			w.add(c.entry(d, int(k)))
		}
		w.finish(sum)
	}
}

// putRoot writes the root: "." and ".." as two ordinary records, then 8 bytes with the version of the hash, their length and the number of
// levels of nodes, then the index entries.
func (c *inventory) putRoot(b []byte, d *dir, sum checksum) {
	w := c.newDirBlock(b)
	w.addDots(c.ino[d.id], c.ino[d.parent])
	le.PutUint16(b[dotSize+4:], uint16(c.blockSize-dotSize)) // the record of ".." covers the rest of the block
	info := b[2*dotSize:]
	info[4], info[5] = hashHalfMD4, rootInfoSize
	l := d.leaves
	if l.nodes == 0 {
		c.putIndex(b, rootHeader, c.leafEntries(d, 0, int64(len(l.first))), sum)
		return
	}
	info[6] = 1 // levels of index nodes
	nodes := make([]indexed, l.nodes)
	for i := range nodes {
		nodes[i] = indexed{c.leafHash(d, int64(i)*c.nodeLimit()), uint32(1 + i)}
	}
	c.putIndex(b, rootHeader, nodes, sum)
}

// An indexed is an index entry: a block of a directory with the names from the given hash on.
type indexed struct{ hash, block uint32 }

// leafEntries returns the index entries of the leaves [from, to).
func (c *inventory) leafEntries(d *dir, from, to int64) []indexed {
	entries := make([]indexed, 0, to-from)
	for i := from; i < to; i++ {
		entries = append(entries, indexed{c.leafHash(d, i), uint32(1 + d.leaves.nodes + i)})
	}
	return entries
}

// leafHash returns the first hash of a leaf, with the lowest bit set if the previous leaf ends with names of the same hash: a reader then
// searches both.
func (c *inventory) leafHash(d *dir, leaf int64) uint32 {
	pos := d.leaves.first[leaf]
	first := c.hasher.hash(c.name(d, int(d.leaves.order[pos]))).major
	if pos > 0 && c.hasher.hash(c.name(d, int(d.leaves.order[pos-1]))).major == first {
		return first | 1
	}
	return first
}

// putIndex writes the index entries of a root or node, which start after the header, and the checksum.
func (c *inventory) putIndex(b []byte, header int64, entries []indexed, sum checksum) {
	limit := c.indexLimit(header)
	for i, e := range entries {
		at := header + int64(i)*indexEntry
		le.PutUint32(b[at:], e.hash)
		le.PutUint32(b[at+4:], e.block)
	}
	le.PutUint16(b[header:], uint16(limit))
	le.PutUint16(b[header+2:], uint16(len(entries)))
	if c.features.has(metadataCsum) {
		var tail [indexTail]byte // the checksum covers the entries in use and this, while it is zero
		used := b[:header+int64(len(entries))*indexEntry]
		le.PutUint32(b[header+limit*indexEntry+4:], uint32(sum.over(used).over(tail[:])))
	}
}
