package squashfs

import (
	"errors"
	"fmt"
	"io"

	"imprint/internal/fault"
	"imprint/internal/span"
	"imprint/internal/tree"
)

// Inspect reports every fault of a file system that may be damaged, as [Volume.Check] does, and returns what [Read] returns.
func Inspect(image io.ReaderAt, size int64, report fault.Report) (*Volume, error) {
	v, err := Read(image, size)
	if err == nil {
		v.Check(report)
		return v, nil
	}
	r, rerr := newReader(image, size)
	if rerr != nil {
		report(fault.Fault{Offset: 0, Object: "superblock", Text: rerr.Error()})
		return nil, err
	}
	newVolume(r, nil).Check(report)
	return nil, err
}

// Check reads all structure again and reports every fault that it finds: metadata blocks that cannot be unpacked, fields of inodes, directories, numbers
// of links, lists of blocks, and the table for exports. squashfs has no checksums: a wrong value is found where it contradicts another one. Contents are
// not read.
func (v *Volume) Check(report fault.Report) {
	a := v.audit(report)
	a.links()
	a.space()
}

// An audit reads all structure of a file system, and goes on after a fault.
type audit struct {
	*reader
	report  fault.Report
	found   map[uint64]*audited // by reference
	numbers map[uint32]*audited
	queue   []*audited // directories that are still to be read
	spans   span.Map[piece]
	tails   map[int][]*audited // the files in each fragment, in the order of the table of inodes
	packed  map[int64]uint32   // stored sizes of files' blocks, by their offsets
	full    bool               // structure is used twice, which was reported
}

// An audited is an inode with the first name that was found for it.
type audited struct {
	inode
	ref     uint64
	in      *audited // its directory; itself for the root
	name    string
	names   uint32 // entries that lead to it
	subdirs uint32
	depth   int
}

// A piece is what a range of bytes is for.
type piece struct {
	use   use
	table string   // of a metadata block, or of pointers
	of    *audited // that has a block
	from  int64    // offset in the content of a block's first byte
	size  int64    // of its bytes when it is unpacked
	plain bool     // whether it is not packed
	index int      // of a fragment
}

type use uint8

const (
	superUse    use = iota
	optionsUse      // options of the compressor
	metadataUse     // a metadata block
	pointerUse      // pointers to metadata blocks
	blockUse        // a block of a file
	fragmentUse
)

// audit audits the whole file system. report may be nil, for a caller that needs only the spans.
func (v *Volume) audit(report fault.Report) *audit {
	a := &audit{report: report, found: map[uint64]*audited{}, numbers: map[uint32]*audited{}, packed: map[int64]uint32{}, tails: map[int][]*audited{}}
	r, err := newReader(v.image, v.Size)
	if a.reader = r; err != nil { // the image has changed
		a.fault(0, nil, "superblock", err.Error())
		return a
	}
	a.spans.Add(0, superSize, piece{use: superUse})
	a.tables()
	if root := a.visit("", r.super.RootInode, nil); root != nil && root.kind != tree.Dir {
		a.fault(superRoot, nil, "superblock", fmt.Sprintf("the root inode is a %v", root.kind))
	}
	for len(a.queue) > 0 && !a.full {
		last := len(a.queue) - 1
		n := a.queue[last]
		a.queue = a.queue[:last]
		a.directory(n)
	}
	if !a.full && len(a.found) != int(r.super.Inodes) {
		a.fault(4, nil, "superblock", fault.Mismatch("the number of inodes", r.super.Inodes, len(a.found)))
	}
	a.exports()
	a.spans.Sort()
	for _, n := range a.inOrder() {
		if n.kind == tree.File && n.size > 0 && n.fragment != noFragment {
			a.tails[int(n.fragment)] = append(a.tails[int(n.fragment)], n)
		}
	}
	return a
}

// path returns the path of an inode, by the first name that was found for it.
func (a *audit) path(n *audited) string {
	return fault.Path(func(yield func(string) bool) {
		for n := n; n.in != n && yield(n.name); n = n.in {
		}
	})
}

// fault reports a fault. n is nil for what belongs to no inode.
func (a *audit) fault(at int64, n *audited, object, text string) {
	if a.report == nil {
		return
	}
	f := fault.Fault{Offset: at, Object: object, Text: text}
	if n != nil {
		f.Path = a.path(n)
	}
	a.report(f)
}

// failed reports an error of reading structure. After structure that is used twice, and with too much of it, the audit ends.
func (a *audit) failed(at int64, n *audited, object string, err error) {
	if !a.full {
		a.fault(at, n, object, err.Error())
	}
	a.full = a.full || errors.Is(err, fault.ErrOverlap) || errors.Is(err, errTooMuch)
}

// tables finds the blocks of all tables, and checks those of inodes, of directories and of attributes, which are one after the other.
func (a *audit) tables() {
	if a.super.Flags&flagOptions != 0 {
		if b, err := a.metadata(&table{name: "options", from: superSize, to: a.size}, superSize); err != nil {
			a.fault(superSize, nil, "options of the compressor", err.Error())
		} else {
			a.spans.Add(superSize, b.next-superSize, piece{use: optionsUse})
		}
	}
	for _, t := range []*table{&a.inodes, &a.dirs, &a.values} {
		a.run(t)
	}
	a.index("IDs", int64(a.super.IDTable), int(a.super.NoIDs), 4)
	a.index("fragments", int64(a.super.FragTable), len(a.fragments), fragmentSize)
	if a.super.XattrTable != noTable {
		a.spans.Add(int64(a.super.XattrTable), attributeHeader, piece{use: pointerUse, table: "extended attributes"})
		a.index("extended attributes", int64(a.super.XattrTable)+attributeHeader, len(a.attributes), attributeSize)
	}
	for i, f := range a.fragments {
		size := int64(f.stored &^ plainBlock)
		if size == 0 || size > a.blockSize || f.at < superSize || f.at > a.inodes.from-size {
			a.fault(-1, nil, fmt.Sprintf("fragment %d", i), fmt.Sprintf("%d bytes at %d are none, more than %d, or not between superblock and inodes", size, f.at, a.blockSize))
			continue
		}
		a.spans.Add(f.at, size, piece{use: fragmentUse, index: i, plain: f.stored&plainBlock != 0})
	}
}

// run reads the metadata blocks of a table.
func (a *audit) run(t *table) {
	for at := t.from; at < t.to; {
		b, err := a.metadata(t, at)
		if err != nil {
			a.fault(at, nil, "table of "+t.name, err.Error())
			return
		}
		a.spans.Add(at, b.next-at, piece{use: metadataUse, table: t.name})
		if b.next < t.to && len(b.data) != metadataSize {
			a.fault(at, nil, "table of "+t.name, fmt.Sprintf("metadata block of %d bytes before the last, %d are expected", len(b.data), metadataSize))
		}
		at = b.next
	}
}

// index finds the blocks of a table with pointers, which were read before.
func (a *audit) index(name string, at int64, count, each int) {
	whole := &table{name: name, from: superSize, to: a.size}
	for perBlock := metadataSize / each; count > 0; count -= perBlock {
		a.spans.Add(at, 8, piece{use: pointerUse, table: name})
		var pointer [8]byte
		if err := readFull(a.image, pointer[:], at); err != nil {
			return
		}
		block := int64(le.Uint64(pointer[:]))
		if b, err := a.metadata(whole, block); err == nil {
			a.spans.Add(block, b.next-block, piece{use: metadataUse, table: name})
		}
		at += 8
	}
}

// exports checks the table with the reference of each inode, which a server of NFS uses.
func (a *audit) exports() {
	if a.super.Flags&flagExport == 0 || a.full {
		return
	}
	if a.super.ExportTable == noTable {
		a.fault(superExport, nil, "superblock", "the file system can be exported, but has no table for that")
		return
	}
	number := uint32(0)
	_, err := a.indexed("exports", a.super.ExportTable, int(a.super.Inodes), 8, func(b []byte) {
		number++
		ref := le.Uint64(b)
		if n := a.numbers[number]; n != nil && n.ref != ref {
			a.fault(int64(a.super.ExportTable), n, fmt.Sprintf("inode %d", number), fault.Mismatch("its reference in the table of exports", ref, n.ref))
		}
	})
	if err != nil {
		a.failed(int64(min(a.super.ExportTable, 1<<62)), nil, "table of exports", err)
		return
	}
	a.index("exports", int64(a.super.ExportTable), int(a.super.Inodes), 8)
}
