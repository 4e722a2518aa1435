// Package qcow2 writes and reads QEMU's disk format (QEMU, docs/interop/qcow2.rst), version 3, without snapshots, backing files and encryption.
//
// A file has the header, the L1 table, the L2 tables of those parts of the disk that have data, the clusters, and at the end the refcounts,
// whose number depends on everything before. Plain clusters have places that are known from the start. Compressed ones are packed one after
// the other.
package qcow2

import (
	"encoding/binary"

	"imprint/internal/pieces"
)

const (
	magic       = "QFI\xfb"
	clusterBits = 16
	cluster     = 1 << clusterBits // bytes
	entries     = cluster / 8      // of an L2 table
	reach       = entries * cluster
	headerSize  = 112

	copied       = 1 << 63 // the refcount is exactly one
	compressed   = 1 << 62
	reads0       = 1 << 0 // the cluster reads as zeros
	offsetMask   = 1<<56 - 1<<9
	refcountBits = 4           // log2 of 16 bits
	countsOf     = cluster / 2 // refcounts in a block
	incompatZstd = 1 << 3      // the compression type is in the header
	typeZstd     = 1
	sector       = 512
	offsetBits   = 62 - (clusterBits - 8) // of the offset in the entry of a compressed cluster
)

// tables holds the offsets of a file that follow from the holes of the disk.
type tables struct {
	disk pieces.Disk
	l1   []int64 // offset of each L2 table, 0 for none
	data int64   // offset of the first cluster with data
}

func plan(d pieces.Disk) *tables {
	t := &tables{disk: d, l1: make([]int64, (d.Size+reach-1)/reach)}
	for n := range d.Count() {
		if !d.Hole(n) {
			t.l1[n*d.Piece/reach] = 1
		}
	}
	t.data = cluster + align(int64(len(t.l1))*8)
	for i, used := range t.l1 {
		if used != 0 {
			t.l1[i] = t.data
			t.data += cluster
		}
	}
	return t
}

func align(n int64) int64 { return (n + cluster - 1) / cluster * cluster }

// counts holds the place of the refcounts: blocks of them, then the table of the blocks.
type counts struct{ first, blocks, table int64 } // numbers of clusters

// countsAfter returns the place of the refcounts in a file whose other parts end at end. Refcounts count their own clusters, too, so their
// number is increased until they do.
func countsAfter(end int64) (c counts) {
	c.first = align(end) / cluster
	for {
		blocks := (c.all() + countsOf - 1) / countsOf
		table := align(blocks*8) / cluster
		if blocks == c.blocks && table == c.table {
			return c
		}
		c.blocks, c.table = blocks, table
	}
}

// all returns the length of the file in clusters.
func (c counts) all() int64 { return c.first + c.blocks + c.table }

// tableAt returns the offset of the table.
func (c counts) tableAt() int64 { return (c.first + c.blocks) * cluster }

// finish completes a file whose clusters end at end: it writes the refcounts, the L1 table and the header. count returns the refcount of a
// cluster of data.
func (t *tables) finish(f pieces.File, end int64, zstd bool, count func(cluster int64) uint16) error {
	c := countsAfter(end)
	if err := f.Truncate(c.all() * cluster); err != nil {
		return err
	}
	if err := t.writeCounts(f, c, count); err != nil {
		return err
	}
	l1 := make([]byte, len(t.l1)*8)
	for i, off := range t.l1 {
		if off != 0 {
			binary.BigEndian.PutUint64(l1[i*8:], uint64(off)|copied)
		}
	}
	if _, err := f.WriteAt(l1, cluster); err != nil {
		return err
	}
	_, err := f.WriteAt(t.header(c.tableAt(), c.table, zstd), 0)
	return err
}

// writeCounts writes the refcounts. Clusters other than those of data have a refcount of 1.
func (t *tables) writeCounts(f pieces.File, c counts, count func(cluster int64) uint16) error {
	buf, list := make([]byte, cluster), make([]byte, c.table*cluster)
	for b := range c.blocks {
		clear(buf)
		for k := int64(0); k < countsOf && b*countsOf+k < c.all(); k++ {
			n, used := b*countsOf+k, uint16(1)
			if n >= t.data/cluster && n < c.first {
				used = count(n)
			}
			binary.BigEndian.PutUint16(buf[k*2:], used)
		}
		off := (c.first + b) * cluster
		if _, err := f.WriteAt(buf, off); err != nil {
			return err
		}
		binary.BigEndian.PutUint64(list[b*8:], uint64(off))
	}
	_, err := f.WriteAt(list, c.tableAt())
	return err
}

// header returns the header of a file. refcounts is the offset of the refcount table, and clusters its length.
func (t *tables) header(refcounts, clusters int64, zstd bool) []byte {
	h := make([]byte, headerSize+8) // an empty list of extensions follows
	be := binary.BigEndian
	copy(h, magic)
	be.PutUint32(h[4:], 3)
	be.PutUint32(h[20:], clusterBits)
	be.PutUint64(h[24:], uint64(t.disk.Size))
	be.PutUint32(h[36:], uint32(len(t.l1)))
	be.PutUint64(h[40:], cluster)
	be.PutUint64(h[48:], uint64(refcounts))
	be.PutUint32(h[56:], uint32(clusters))
	be.PutUint32(h[96:], refcountBits)
	be.PutUint32(h[100:], headerSize)
	if zstd {
		be.PutUint64(h[72:], incompatZstd)
		h[104] = typeZstd
	}
	return h
}

// entry returns the offset of the L2 entry of a cluster of the disk.
func (t *tables) entry(c int64) int64 { return t.l1[c/entries] + c%entries*8 }
