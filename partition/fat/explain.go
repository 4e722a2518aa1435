package fat

import (
	"fmt"

	"imprint/internal/span"
	"imprint/internal/tree"
)

// Explain says what the byte at an offset of the region belongs to, such as "boot sector, SecPerClus", "FAT 1, entry 7", "directory entry of
// /EFI/BOOT, WrtTime" or "file /EFI/BOOT/BOOTX64.EFI, byte 5".
func (v *Volume) Explain(off int64) string {
	g := v.geometry
	switch {
	case off < 0 || off >= g.size:
		return "after the volume"
	case off < g.fat:
		return g.explainReserved(off)
	case off < g.root:
		return g.explainTable(off - g.fat)
	case off < g.root+g.rootSize:
		return v.owned().explainSlot(0, []tree.Range{{Off: g.root, Len: g.rootSize}}, off-g.root)
	case off < g.data:
		return "unused, after the root directory"
	case off >= g.offset(uint32(g.clusters)+firstCluster):
		return "unused, after the last cluster"
	}
	return v.owned().explainCluster(off)
}

// explainReserved explains a byte before the FATs.
func (g *geometry) explainReserved(off int64) string {
	sector, at := off/g.sector, off%g.sector
	backup := int64(g.more.BkBootSec)
	switch {
	case sector == 0:
		return "boot sector, " + fieldOf(g.fields(), at)
	case g.bits == 32 && sector == int64(g.more.FSInfo):
		return "FSInfo sector, " + fieldOf(infoFields, at)
	case g.bits == 32 && sector == backup:
		return "backup boot sector, " + fieldOf(g.fields(), at)
	case g.bits == 32 && backup != 0 && sector == backup+int64(g.more.FSInfo):
		return "backup FSInfo sector, " + fieldOf(infoFields, at)
	}
	return fmt.Sprintf("reserved, sector %d", sector)
}

var infoFields = span.Fields(infoSector{})

func fieldOf(m span.Map[string], off int64) string {
	if f, ok := m.At(off); ok {
		return f.What
	}
	return "unused"
}

// explainTable explains a byte of the FATs, counted from the first one. In FAT12 two entries can share a byte.
func (g *geometry) explainTable(off int64) string {
	n, at := off/g.fatSize+1, off%g.fatSize
	if at >= g.entryBytes() {
		return fmt.Sprintf("FAT %d, unused after the last entry", n)
	}
	first, last := at*8/int64(g.bits), min((at*8+7)/int64(g.bits), g.clusters+firstCluster-1)
	if first < last {
		return fmt.Sprintf("FAT %d, entries %d and %d", n, first, last)
	}
	return fmt.Sprintf("FAT %d, entry %d", n, first)
}

// explainCluster explains a byte of a cluster.
func (s *scan) explainCluster(off int64) string {
	c := uint32((off-s.data)/s.cluster) + firstCluster
	id, taken := s.owners.of(c)
	if !taken {
		return s.explainFree(c)
	}
	places := s.places(id)
	at := int64(0) // in the file or directory
	for _, r := range places {
		if off >= r.Off && off < r.End() {
			at += off - r.Off
			break
		}
		at += r.Len
	}
	switch o := s.objects[id]; {
	case o.dir:
		return s.explainSlot(id, places, at)
	case at >= o.size:
		return "file tail after " + s.path(id)
	}
	return fmt.Sprintf("file %s, byte %d", s.path(id), at)
}

func (s *scan) explainFree(c uint32) string {
	switch e, err := s.table.entry(c); {
	case err == nil && e == 0:
		return fmt.Sprintf("free, cluster %d", c)
	case err == nil && e == badCluster(s.bits):
		return fmt.Sprintf("bad cluster %d", c)
	}
	return fmt.Sprintf("cluster %d, in use but in no file", c)
}

// places returns the ranges of the clusters that an object was given.
func (s *scan) places(id int32) (list []tree.Range) {
	c := s.objects[id].first
	for range s.objects[id].held {
		list = s.extend(list, c)
		c, _, _ = s.table.next(c)
	}
	return list
}

// explainSlot explains byte at of a directory.
func (s *scan) explainSlot(id int32, places []tree.Range, at int64) string {
	b, err := s.read(places)
	if err != nil {
		return "directory " + s.path(id)
	}
	slot, field := int(at/slotSize), at%slotSize
	end := 0
	for (end+1)*slotSize <= len(b) && b[end*slotSize] != endOfDir {
		end++
	}
	e := b[slot*slotSize:][:slotSize]
	switch {
	case slot >= end:
		return fmt.Sprintf("directory %s, unused after the last entry", s.path(id))
	case e[0] == deleted:
		return fmt.Sprintf("directory %s, deleted entry %d", s.path(id), slot)
	}
	what, fields := fmt.Sprintf("entry %d", slot), entryFields
	if isLong(e[11]) {
		fields = longFields
	}
	for _, it := range parseDir(b, func(int, string) {}) {
		if it.first <= slot && slot <= it.slot {
			return fmt.Sprintf("directory entry of %s, %s", s.entryPath(id, &it), fieldOf(fields, field))
		}
	}
	return fmt.Sprintf("directory %s, %s without a name, %s", s.path(id), what, fieldOf(fields, field))
}

func (s *scan) entryPath(dir int32, it *item) string {
	if it.Attr&attrVolume != 0 {
		return "the volume label"
	}
	return tree.Join(s.path(dir), it.name)
}

var entryFields, longFields = span.Fields(dirEntry{}), span.Fields(longEntry{})
