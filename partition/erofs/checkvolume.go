package erofs

import (
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
	r := newReader(image, size)
	if _, superErr := r.superBlock(); superErr != nil {
		report(fault.Fault{Offset: superOffset, Object: "superblock", Text: superErr.Error()})
	} else if superErr := r.super.supported(); superErr != nil {
		report(fault.Fault{Offset: superOffset + span.Offset(superFields, "feature_incompat"), Object: "superblock", Text: superErr.Error()})
	} else {
		newVolume(r, nil).Check(report)
	}
	return nil, err
}

// Check reads all structure again and reports every fault that it finds: fields of the superblock and of inodes, extended attributes,
// directories, numbers of links, and blocks that are used twice or not at all. Only the superblock has a checksum in EROFS; elsewhere a
// wrong value is found where it contradicts another one. Contents are not read.
func (v *Volume) Check(report fault.Report) {
	a := v.audit(report)
	a.links()
	a.space()
}

// An audit reads all structure of a file system, and goes on after a fault.
type audit struct {
	*reader
	report  fault.Report
	found   map[uint64]*audited // by nid
	queue   []*audited          // directories that are still to be read
	numbers map[uint32]uint64   // nids by i_ino
	blocks  map[int64]int       // of files' contents: index in spans by offset
	spans   span.Map[piece]
	full    bool // the budget is spent, which was reported
}

// An audited is an inode with the first name that was found for it.
type audited struct {
	inode
	nid, parent uint64
	name        string
	at          int64 // offset in bytes
	kind        tree.Kind
	content     *stored // nil without one
	names       uint32  // entries that name it, without "." and ".."
	subdirs     uint32
	depth       int
}

// A piece is what a range of bytes is for.
type piece struct {
	use  use
	of   *audited // nil for what belongs to no inode
	from int64    // offset in the content of the first byte
}

type use uint8

const (
	superUse  use = iota
	inodeUse      // an inode
	xattrUse      // the extended attributes after an inode
	sharedUse     // a shared extended attribute
	tailUse       // content after an inode
	blockUse      // content in blocks
)

// audit audits the whole file system. report may be nil, for a caller that needs only the spans.
func (v *Volume) audit(report fault.Report) *audit {
	r := newReader(v.image, v.Size)
	r.super, r.budget = v.super, v.Size
	a := &audit{
		reader: r, report: report, found: map[uint64]*audited{}, numbers: map[uint32]uint64{}, blocks: map[int64]int{},
	}
	a.superblock()
	root := uint64(r.super.root)
	if n := a.visit("", root, root, 0); n != nil && n.kind != tree.Dir {
		a.fault(superOffset+span.Offset(superFields, "root_nid"), nil, "superblock", fmt.Sprintf("root_nid leads to a %v", n.kind))
	}
	for len(a.queue) > 0 {
		last := len(a.queue) - 1
		n := a.queue[last]
		a.queue = a.queue[:last]
		a.directory(n)
	}
	if report != nil && uint64(len(a.found)) != r.super.inodes {
		a.fault(superOffset+span.Offset(superFields, "inos"), nil, "superblock", fault.Mismatch("inos", r.super.inodes, len(a.found)))
	}
	a.spans.Sort()
	return a
}

// path returns the path of an inode, by the first name that was found for it.
func (a *audit) path(n *audited) string {
	return fault.Path(func(yield func(string) bool) {
		for n := n; n.nid != n.parent && yield(n.name); n = a.found[n.parent] {
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

// spent reports whether more structure was read than the image has bytes, and then, once, the fault. The audit ends there.
func (a *audit) spent() bool {
	if a.budget >= 0 {
		return false
	}
	if !a.full {
		a.full = true
		a.fault(-1, nil, "file system", fault.ErrOverlap.Error())
	}
	return true
}

// superFields are the fields of the superblock (struct erofs_super_block).
var superFields = span.Row(
	span.Field{Len: 4, Name: "magic"}, span.Field{Len: 4, Name: "checksum"}, span.Field{Len: 4, Name: "feature_compat"},
	span.Field{Len: 1, Name: "blkszbits"}, span.Field{Len: 1, Name: "sb_extslots"}, span.Field{Len: 2, Name: "root_nid"},
	span.Field{Len: 8, Name: "inos"}, span.Field{Len: 8, Name: "build_time"}, span.Field{Len: 4, Name: "build_time_nsec"},
	span.Field{Len: 4, Name: "blocks"}, span.Field{Len: 4, Name: "meta_blkaddr"}, span.Field{Len: 4, Name: "xattr_blkaddr"},
	span.Field{Len: 16, Name: "uuid"}, span.Field{Len: 16, Name: "volume_name"}, span.Field{Len: 4, Name: "feature_incompat"},
	span.Field{Len: 2, Name: "available_compr_algs"}, span.Field{Len: 2, Name: "extra_devices"}, span.Field{Len: 2, Name: "devt_slotoff"},
	span.Field{Len: 1, Name: "dirblkbits"}, span.Field{Len: 1, Name: "xattr_prefix_count"}, span.Field{Len: 4, Name: "xattr_prefix_start"},
	span.Field{Len: 8, Name: "packed_nid"}, span.Field{Len: 24, Name: "reserved"},
)

// unusedFields are zero in a file system without compression and further devices.
var unusedFields = []string{"sb_extslots", "available_compr_algs", "extra_devices", "devt_slotoff", "xattr_prefix_count", "xattr_prefix_start",
	"packed_nid", "reserved"}

// superblock checks the fields that reading ignores.
func (a *audit) superblock() {
	a.spans.Add(superOffset, superSize, piece{use: superUse})
	block := make([]byte, blockSize)
	if err := readFull(a.image, block, 0); err != nil {
		a.fault(superOffset, nil, "superblock", err.Error())
		return
	}
	if s, sum := a.super, superChecksum(block); s.compat&compatChecksum != 0 && sum != s.checksum {
		a.fault(superOffset+span.Offset(superFields, "checksum"), nil, "superblock",
			fault.Mismatch("checksum", fmt.Sprintf("0x%08x", s.checksum), fmt.Sprintf("0x%08x", sum)))
	}
	if ns := a.super.made.Nsec; ns >= 1e9 {
		a.fault(superOffset+span.Offset(superFields, "build_time_nsec"), nil, "superblock", fmt.Sprintf("build_time_nsec is %d, 999999999 is the most", ns))
	}
	for _, f := range superFields {
		b := block[superOffset+f.Off : superOffset+f.End()]
		if at := nonZero(b); at >= 0 && contains(unusedFields, f.What) {
			a.fault(superOffset+f.Off+int64(at), nil, "superblock", fault.Mismatch(f.What, fmt.Sprintf("%x", b), 0))
		}
	}
}
