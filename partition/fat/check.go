package fat

import (
	"fmt"

	"imprint/internal/fault"
	"imprint/internal/span"
)

// Check reads all structure again, and reports every fault that it finds: fields of the boot sector and of FSInfo, copies that differ, chains
// that are broken, cross or do not have the length of their file, clusters in use that belong to no file, names, and the other fields of
// directory entries. That a volume was not unmounted is a fault too. Contents are not read.
func (v *Volume) Check(report fault.Report) {
	g := v.geometry
	bootCheck{g, report}.check()
	s := newScan(g, false, report)
	c := tableCheck{geometry: g, report: report, table: s.table, owners: s.owners}
	c.marks()
	if _, err := s.root(); err != nil {
		report(fault.Fault{Offset: -1, Object: "tree", Text: err.Error()})
	}
	c.label(s.label)
	c.entries()
	c.copies()
}

// A tableCheck checks the FATs, after the chains were followed.
type tableCheck struct {
	*geometry
	report fault.Report
	table  *table
	owners owners
}

func (c tableCheck) fault(at int64, object, text string) {
	c.report(fault.Fault{Offset: at, Object: object, Text: text})
}

// marks checks entries 0 and 1: the media byte with ones above it, and ones, some of which say whether the volume was unmounted.
func (c tableCheck) marks() {
	if c.last.Reserved1&dirtyBoot != 0 {
		c.fault(c.fieldAt("Reserved1"), "boot sector", "the volume was not unmounted after the last change")
	}
	zero, err := c.table.entry(0)
	one, err1 := c.table.entry(1)
	if err := cmpErr(err, err1); err != nil {
		c.fault(c.table.at, "FAT entry 0", err.Error())
		return
	}
	end := endOfChain(c.bits)
	if expected := end&^0xff | uint32(c.boot.Media); zero != expected {
		c.fault(c.table.at, "FAT entry 0", fault.Mismatch("the media byte with ones above", fmt.Sprintf("0x%x", zero), fmt.Sprintf("0x%x", expected)))
	}
	at, bits := c.entryAt(1), uint32(0)
	if c.bits != 12 {
		bits = c.cleanBit() | c.cleanBit()>>1
	}
	switch {
	case one&bits&c.cleanBit() == 0 && bits != 0:
		c.fault(at, "FAT entry 1", "the volume was not unmounted after the last change")
	case one&bits != bits:
		c.fault(at, "FAT entry 1", "a read or write failed when the volume was in use")
	}
	if one|bits|7 != end { // some formatters write the lowest value that ends a chain
		c.fault(at, "FAT entry 1", fault.Mismatch("the entry", fmt.Sprintf("0x%x", one), fmt.Sprintf("0x%x", end)))
	}
}

// label compares the label in the root directory with that in the boot sector. Windows leaves the latter as it was formatted.
func (c tableCheck) label(root *item) {
	inBoot, inRoot := c.bootLabel(), ""
	if root != nil {
		inRoot = root.Name.text(0, len(short{}))
	}
	if inBoot != "" && inBoot != inRoot {
		c.fault(c.fieldAt("VolLab"), "boot sector", fmt.Sprintf("VolLab is %q, the label in the root directory %q", inBoot, inRoot))
	}
}

// A run is consecutive clusters that are wrong in the same way.
type run struct{ first, end uint32 }

// String names the entries.
func (r run) String() string {
	if r.end == r.first+1 {
		return fmt.Sprintf("FAT entry %d", r.first)
	}
	return fmt.Sprintf("FAT entries %d to %d", r.first, r.end-1)
}

// runs calls report for each run of clusters for which bad is true, so that one lost file is one fault.
func (c tableCheck) runs(bad func(uint32) bool, report func(run)) {
	r := run{}
	for n := uint32(0); int64(n) < c.clusters+firstCluster; n++ {
		switch {
		case !bad(n):
			continue
		case n != r.end || r.end == 0:
			if r.end > 0 {
				report(r)
			}
			r.first = n
		}
		r.end = n + 1
	}
	if r.end > 0 {
		report(r)
	}
}

// entries checks for clusters in use that belong to no file and for reserved bits, and counts the free clusters.
func (c tableCheck) entries() {
	free := int64(0)
	lost := func(n uint32) bool {
		e, err := c.table.entry(n)
		if n < firstCluster || err != nil {
			return false
		}
		if e == 0 {
			free++
		}
		_, owned := c.owners.of(n)
		return e != 0 && e != badCluster(c.bits) && !owned
	}
	c.runs(lost, func(r run) {
		c.fault(c.entryAt(r.first), r.String(), fmt.Sprintf("%d clusters are in use and belong to no file", r.end-r.first))
	})
	if c.bits != 32 {
		return
	}
	reserved := func(n uint32) bool {
		e, err := c.table.raw(n)
		return n >= firstCluster && err == nil && e>>28 != 0
	}
	c.runs(reserved, func(r run) { c.fault(c.entryAt(r.first), r.String(), "the 4 reserved bits are not 0") })
	c.counts(free)
}

// counts checks the numbers in FSInfo, each of which is all ones if it is not known.
func (c tableCheck) counts(free int64) {
	const unknown = 0xffffffff
	at := int64(c.more.FSInfo) * c.sector
	var s infoSector
	if c.more.FSInfo == 0 || c.more.FSInfo >= c.boot.RsvdSecCnt || c.structure(at, &s) != nil {
		return
	}
	names := span.Fields(s)
	if s.FreeCount != unknown && int64(s.FreeCount) != free {
		c.fault(at+span.Offset(names, "FreeCount"), "FSInfo sector", fault.Mismatch("FreeCount", s.FreeCount, free))
	}
	if s.NxtFree != unknown && !c.has(s.NxtFree) {
		c.fault(at+span.Offset(names, "NxtFree"), "FSInfo sector", fmt.Sprintf("NxtFree is %d, clusters are %d to %d", s.NxtFree, firstCluster,
			c.clusters+firstCluster-1))
	}
}

// copies compares the other FATs with the active one, unless mirroring is off.
func (c tableCheck) copies() {
	if c.bits == 32 && c.more.ExtFlags&noMirror != 0 {
		return
	}
	for n := int64(1); n < int64(c.boot.NumFATs); n++ {
		other := c.copy(n)
		differs := func(e uint32) bool {
			one, err := c.table.raw(e)
			two, err2 := other.raw(e)
			return err == nil && err2 == nil && one != two
		}
		c.runs(differs, func(r run) {
			one, _ := c.table.raw(r.first)
			two, _ := other.raw(r.first)
			c.fault(c.entryAt(r.first)+n*c.fatSize, r.String(), fmt.Sprintf("FAT %d differs from FAT 1: the first is 0x%x, not 0x%x", n+1, two, one))
		})
	}
}
