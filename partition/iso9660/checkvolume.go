package iso9660

import (
	"bytes"
	"fmt"
	"io"

	"imprint/internal/fault"
	"imprint/internal/span"
)

// Inspect reports every fault of an image that may be damaged, as [Volume.Check] does, and returns what [Read] returns.
func Inspect(r io.ReaderAt, size int64, report fault.Report) (*Volume, error) {
	n := 0
	newAudit(r, size, func(f fault.Fault) { n++; report(f) }).check()
	v, err := Read(r, size)
	if err != nil && n == 0 {
		report(fault.Fault{Offset: -1, Object: "volume", Text: err.Error()})
	}
	return v, err
}

// Check reads all structure again and reports every fault that it finds: numbers that differ in the two byte orders, fields of volume
// descriptors, path tables that do not agree with the directories, directories that do not agree with one another, Rock Ridge entries,
// numbers of links, the boot catalog, sums of boot info tables, and bytes that are used twice. A second set of descriptors with a tree of
// its own, for a partition, must agree with the first. A Joliet tree is checked too. Contents are not read, except boot images with an info
// table.
func (v *Volume) Check(report fault.Report) { newAudit(v.image, v.size, report).check() }

// An audit reads all structure of an image, and goes on after a fault.
type audit struct {
	*reader
	report   fault.Report
	trees    []*auditTree
	dirs     []auditDir
	files    []auditFile
	starts   map[int64]int     // index in spans of a file's content, by offset
	families map[int64]*family // by serial number
	boots    []BootImage
	catalog  int64 // offset in bytes, 0 for none
	spans    span.Map[claim]
	full     bool // more structure was read than the image has bytes, and this was reported
}

// An auditTree is a volume descriptor with the directories that it leads to.
type auditTree struct {
	name   string
	at     int64  // offset of the descriptor
	d      []byte // the descriptor
	shift  int64  // block of the image that its blocks count from
	joliet bool   // names are UCS-2, without Rock Ridge
	skip   int    // bytes before the first entry of a system use field, -1 without Rock Ridge
	root   int32  // index of the root in dirs
	byAt   map[int64]int32
	marks  []recordMark
}

// A recordMark is a digest of a record without what differs between two trees of the same files.
type recordMark struct {
	at   int64
	dir  int32
	hash uint64
}

// An auditDir is a directory of a tree.
type auditDir struct {
	tree    *auditTree
	parent  int32
	name    string
	id      string // identifier
	at      int64  // offset of the record that names it
	start   int64  // block of the image
	size    int64  // bytes
	subdirs int64
	px      []int64 // POSIX attributes of the record that names it
	own     []int64 // likewise of its own record
	ownAt   int64
}

// An auditFile is a file of a tree.
type auditFile struct {
	dir  int32
	name string
	size int64 // bytes
}

// A family counts the names of one file in the first tree.
type family struct {
	names, links int64
	at           int64
	file         int32 // the first one
}

// A claim is what a range of bytes is for.
type claim struct {
	use  use
	id   int32 // index of a tree, a directory or a file
	from int64 // of a file's content: the offset in it
}

type use uint8

const (
	descriptorUse use = iota
	terminatorUse
	bootRecordUse
	catalogUse
	tableLUse
	tableMUse
	dirUse
	areaUse // a continuation area of a directory's record
	fileUse
)

// newAudit reads all structure. report may be nil, for a caller that needs only the spans.
func newAudit(r io.ReaderAt, size int64, report fault.Report) *audit {
	a := &audit{reader: &reader{image: r, size: size}, report: report, starts: map[int64]int{}, families: map[int64]*family{}}
	end := a.descriptors(systemArea, 0)
	if at := a.second(end); at > 0 {
		a.descriptors(at+systemArea, at)
	}
	for _, t := range a.trees {
		a.claimTables(t)
		a.tree(t)
	}
	a.spans.Sort()
	return a
}

// check makes the checks that need everything to have been read.
func (a *audit) check() {
	if len(a.trees) == 0 {
		a.fault(systemArea*block, "", "volume descriptors", "no primary volume descriptor")
	}
	for _, t := range a.trees {
		a.fields(t)
		a.pathTables(t)
		a.space(t)
	}
	a.compareTrees()
	a.links()
	a.boot()
	if !a.full {
		a.overlaps()
	}
}

func (a *audit) fault(at int64, path, object, text string) {
	if a.report != nil {
		a.report(fault.Fault{Offset: at, Path: path, Object: object, Text: text})
	}
}

// use records bytes that are read as structure. It reports whether they lie in the image, and all of them together are not more than it has.
func (a *audit) use(at, n int64, p claim) bool {
	if at < 0 || n < 0 || at > a.size-n || a.full {
		return false
	}
	if a.spend(n) != nil {
		a.full = true
		a.fault(-1, "", "volume", "structures overlap: they have more bytes than the image")
		return false
	}
	a.spans.Add(at, n, p)
	return true
}

// descriptors reads the volume descriptors from block from up to a terminator, and returns the block after that. They count blocks from
// shift.
func (a *audit) descriptors(from, shift int64) (end int64) {
	for n := from; n < from+maxDescriptors; n++ {
		d := make([]byte, block)
		if a.read(d, n*block) != nil || string(d[1:6]) != standardID {
			a.fault(n*block, "", "volume descriptors", "they end without a terminator")
			return n
		}
		object := fmt.Sprintf("volume descriptor in block %d", n)
		if d[6] != structureVersion && d[0] != supplementary {
			a.fault(n*block+6, "", object, fault.Mismatch("version", d[6], structureVersion))
		}
		switch d[0] {
		case bootRecord:
			a.use(n*block, block, claim{use: bootRecordUse})
			a.bootRecord(d, n*block)
		case primary, supplementary:
			if d[0] == primary || d[6] != enhancedVersion {
				a.volume(d, n*block, shift)
			}
		case terminator:
			a.use(n*block, block, claim{use: terminatorUse})
			a.zeros(n*block+7, d[7:], object)
			return n + 1
		default:
			a.fault(n*block, "", object, fmt.Sprintf("type is %d, not 0, 1, 2, 3 or 255", d[0]))
		}
	}
	return from + maxDescriptors
}

// A supplementary volume descriptor leads to a tree with other names: those of Joliet if it has an escape sequence. With version 2 it is one
// of ISO 9660:1999, and leads to the tree of the primary one.
const (
	supplementary   = 2
	enhancedVersion = 2
)

// volume adds the tree that a descriptor leads to.
func (a *audit) volume(d []byte, at, shift int64) {
	t := &auditTree{name: "primary volume descriptor", at: at, d: d, shift: shift, byAt: map[int64]int32{}}
	if d[0] == supplementary {
		t.name, t.joliet = "supplementary volume descriptor", true
	}
	if shift > 0 {
		t.name += fmt.Sprintf(" of the partition at block %d", shift)
	}
	a.use(at, block, claim{use: descriptorUse, id: int32(len(a.trees))})
	a.trees = append(a.trees, t)
}

// maxShift bounds the search for the descriptors of a partition. No field says where they are; xorriso puts them at block 16.
const maxShift = 64

// second returns the block where a partition with its own volume descriptors begins, at from or later; 0 if there is none.
func (a *audit) second(from int64) int64 {
	d := make([]byte, block)
	for n := from; n < systemArea+maxShift; n++ {
		if a.read(d, n*block) == nil && (d[0] == primary && string(d[1:6]) == standardID || a.likeFirst(d)) {
			return n - systemArea
		}
	}
	return 0
}

// likeFirst reports whether a descriptor, even a damaged one, has the dates of the first.
func (a *audit) likeFirst(d []byte) bool {
	return len(a.trees) > 0 && bytes.Equal(d[pvdCreated:pvdVersion], a.trees[0].d[pvdCreated:pvdVersion])
}

// zeros checks that b, which is at offset at, holds only zeros.
func (a *audit) zeros(at int64, b []byte, object string) {
	if i := len(b) - len(bytes.TrimLeft(b, "\x00")); i < len(b) {
		a.fault(at+int64(i), "", object, fmt.Sprintf("reserved byte is 0x%02x, 0 is expected", b[i]))
	}
}
