package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"imprint/internal/fault"
	"imprint/internal/span"
)

// fields returns the fields of the boot sector, with its code and the signature after them.
func (g *geometry) fields() span.Map[string] {
	m := span.Fields(g.boot, g.last)
	if g.bits == 32 {
		m = span.Fields(g.boot, g.more, g.last)
	}
	end := m[len(m)-1].End()
	m.Add(end, bootSize-2-end, "boot code")
	m.Add(bootSize-2, 2, "signature")
	m.Add(bootSize, g.sector-bootSize, "unused")
	return m
}

// fieldAt returns the offset of a field of the boot sector.
func (g *geometry) fieldAt(name string) int64 { return span.Offset(g.fields(), name) }

// A bootCheck checks the sectors before the first FAT.
type bootCheck struct {
	*geometry
	report fault.Report
}

// want reports a field of the boot sector that has none of the expected values.
func want[T comparable](c bootCheck, field string, found T, expected ...T) {
	if !slices.Contains(expected, found) {
		c.report(fault.Fault{Offset: c.fieldAt(field), Object: "boot sector", Text: fault.Mismatch(field, found, expected[0])})
	}
}

// check checks all fields that can be wrong without hiding the volume.
func (c bootCheck) check() {
	b, l := c.boot, c.last
	if jump := b.JmpBoot; !(jump[0] == 0xeb && jump[2] == 0x90) && jump[0] != 0xe9 {
		want(c, "JmpBoot", fmt.Sprintf("% x", jump[:]), "eb ?? 90 or e9 ?? ??")
	}
	want(c, "Media", b.Media, media, 0xf0, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff)
	if total := int64(b.TotSec32); b.TotSec16 != 0 {
		want(c, "TotSec32", total, 0, int64(b.TotSec16))
	}
	want(c, "BootSig", l.BootSig, extBootSig, 0x28)
	if l.BootSig == extBootSig {
		kind := fmt.Sprintf("FAT%-5d", c.bits)
		want(c, "FilSysType", string(l.FilSysType[:]), kind, "FAT     ")
	}
	want(c, "Reserved1", l.Reserved1&^(dirtyBoot|errorBoot), 0)
	if c.clusters < clusterLimits[32].min && c.bits == 32 {
		c.report(fault.Fault{Offset: c.fieldAt("TotSec32"), Object: "boot sector",
			Text: fmt.Sprintf("%d clusters are too few for FAT32, which has %d or more", c.clusters, clusterLimits[32].min)})
	}
	c.signature()
	if c.bits == 32 {
		c.check32()
	} else {
		want(c, "RootEntCnt", c.rootSize%c.sector, 0)
	}
}

func (c bootCheck) signature() {
	b := make([]byte, 2)
	if err := readFull(c.image, b, bootSize-2); err != nil {
		c.report(fault.Fault{Offset: bootSize - 2, Object: "boot sector", Text: err.Error()})
		return
	}
	want(c, "signature", fmt.Sprintf("% x", b), "55 aa")
}

// check32 checks the fields of FAT32, and the sectors that they name.
func (c bootCheck) check32() {
	m := c.more
	want(c, "TotSec16", c.boot.TotSec16, 0)
	want(c, "FSVer", m.FSVer, 0)
	want(c, "Reserved", m.Reserved, [12]byte{})
	want(c, "ExtFlags", m.ExtFlags&^(noMirror|activeFAT), 0)
	if m.ExtFlags&noMirror != 0 && m.ExtFlags&activeFAT >= uint16(c.boot.NumFATs) {
		want(c, "ExtFlags", fmt.Sprintf("0x%x", m.ExtFlags), fmt.Sprintf("the number of one of %d FATs", c.boot.NumFATs))
	}
	if c.reserved("FSInfo", m.FSInfo) {
		c.info(int64(m.FSInfo), "FSInfo sector")
	}
	if c.reserved("BkBootSec", m.BkBootSec) {
		c.backup()
	}
}

// reserved reports whether a field names a sector, which must be one of the reserved ones. Some formatters have none.
func (c bootCheck) reserved(field string, sector uint16) bool {
	if sector == 0 || sector == 0xffff {
		return false
	}
	if sector >= c.boot.RsvdSecCnt {
		want(c, field, fmt.Sprint(sector), fmt.Sprintf("one of the %d reserved sectors", c.boot.RsvdSecCnt))
		return false
	}
	return true
}

// info checks the signatures of an FSInfo sector. tableCheck checks the counts, only in the first one: drivers do not update the backup.
func (c bootCheck) info(sector int64, object string) {
	at := sector * c.sector
	var s infoSector
	if err := c.structure(at, &s); err != nil {
		c.report(fault.Fault{Offset: at, Object: object, Text: err.Error()})
		return
	}
	names := span.Fields(s)
	for _, f := range []struct {
		name            string
		found, expected uint32
	}{{"LeadSig", s.LeadSig, leadSig}, {"StrucSig", s.StrucSig, strucSig}, {"TrailSig", s.TrailSig, trailSig}} {
		if f.found != f.expected {
			c.report(fault.Fault{Offset: at + span.Offset(names, f.name), Object: object,
				Text: fault.Mismatch(f.name, fmt.Sprintf("0x%08x", f.found), fmt.Sprintf("0x%08x", f.expected))})
		}
	}
	for i, reserved := range [][]byte{s.Reserved1[:], s.Reserved2[:]} {
		name := fmt.Sprintf("Reserved%d", i+1)
		if k := slices.IndexFunc(reserved, func(b byte) bool { return b != 0 }); k >= 0 {
			c.report(fault.Fault{Offset: at + span.Offset(names, name) + int64(k), Object: object, Text: fault.Mismatch(name, reserved[k], 0)})
		}
	}
}

// structure reads a structure of 512 bytes.
func (g *geometry) structure(at int64, s any) error {
	b := make([]byte, bootSize)
	err := readFull(g.image, b, at)
	if err == nil {
		_, err = binary.Decode(b, binary.LittleEndian, s)
	}
	return err
}

// backup compares the boot sector with its copy, without the mark of a volume in use, which drivers set in the first one only. The copy of
// FSInfo after it is optional.
func (c bootCheck) backup() {
	at := int64(c.more.BkBootSec) * c.sector
	first, second := make([]byte, c.sector), make([]byte, c.sector)
	if err := cmpErr(readFull(c.image, first, 0), readFull(c.image, second, at)); err != nil {
		c.report(fault.Fault{Offset: at, Object: "backup boot sector", Text: err.Error()})
		return
	}
	marks := c.fieldAt("Reserved1")
	second[marks] = second[marks]&^(dirtyBoot|errorBoot) | first[marks]&(dirtyBoot|errorBoot)
	for _, f := range c.fields() {
		if one, two := first[f.Off:f.End()], second[f.Off:f.End()]; !bytes.Equal(one, two) {
			c.report(fault.Fault{Offset: at + f.Off, Object: "backup boot sector",
				Text: fmt.Sprintf("%s is %.40x, the boot sector has %.40x", f.What, two, one)})
		}
	}
	if sector := int64(c.more.BkBootSec) + int64(c.more.FSInfo); c.hasInfo(sector) {
		c.info(sector, "backup FSInfo sector")
	}
}

// hasInfo reports whether there is an FSInfo sector, even a damaged one.
func (c bootCheck) hasInfo(sector int64) bool {
	b := make([]byte, bootSize)
	return sector < int64(c.boot.RsvdSecCnt) && readFull(c.image, b, sector*c.sector) == nil && len(bytes.Trim(b[:bootSize-4], "\x00")) > 0
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
