package fat

import (
	"math"

	"imprint/internal/tree"
	"imprint/internal/units"
)

const (
	firstCluster = 2  // number of the first cluster; entries 0 and 1 of a FAT are special
	slotSize     = 32 // bytes of a directory entry
	fats         = 2
	rootSlots    = 512 // least number of entries of a fixed root directory, and the usual one
	rootRoom     = 112 // entries that stay free in it, since it cannot grow: as many as a floppy disk's has

	// A directory can have 65,536 entries, 2 MiB in all ("FAT Directory Structure"). A fixed root directory fills whole sectors, and its
	// number of entries has 16 bits, which leaves this many with sectors of 4096 bytes. It is the limit for all directories, so that there
	// is only one.
	maxSlots = 65536 - 4096/slotSize

	maxSectors = math.MaxUint32 // the boot sector counts sectors in 32 bits
	maxCluster = 32 << 10       // bytes; with more, some drivers fail ("Boot Sector and BPB")
)

// clusterLimits are the least and the greatest numbers of clusters of a type ("FAT Type Determination"). FAT16 could have 4085, but the
// driver of Windows takes less than 4087 for FAT12. FAT32 ends before the entry values that mark bad clusters.
var clusterLimits = map[int]struct{ min, max int64 }{
	12: {1, 4084},
	16: {4087, 65524},
	32: {65525, 0x0ffffff5},
}

// A shape is the type and the cluster size, which depend on the size of a volume. It holds for a range of sizes.
type shape struct {
	bits    int
	sector  int64 // bytes
	cluster int64 // bytes
	root    int64 // sectors of the fixed root directory
	lo, hi  int64 // sectors of the smallest and the largest volume
}

// A volume is a shape with a size, in sectors unless it says otherwise.
type volume struct {
	shape
	total, reserved, fat int64
	clusters             int64 // a count
}

// fatSectors returns the size of one FAT for a number of clusters, in sectors.
func (s shape) fatSectors(clusters int64) int64 {
	return units.Blocks((clusters+firstCluster)*int64(s.bits), 8*s.sector)
}

// minReserved returns the number of sectors before the first FAT: 32 in FAT32 ("Boot Sector and BPB"), of which 0, 1, 6 and 7 are used.
func (s shape) minReserved() int64 {
	if s.bits == 32 {
		return 32
	}
	return 1
}

// sectors returns the size of the smallest volume with a number of clusters, in sectors. It grows with each cluster.
func (s shape) sectors(clusters int64) int64 {
	return s.minReserved() + fats*s.fatSectors(clusters) + s.root + clusters*(s.cluster/s.sector)
}

// volume returns the volume of total sectors, at least s.lo. It has as many clusters as fit; the rest is reserved sectors.
func (s shape) volume(total int64) volume {
	lo, hi := int64(0), total
	for lo < hi { // the largest number of clusters that fits
		mid := (lo + hi + 1) / 2
		if s.sectors(mid) <= total {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	v := volume{shape: s, total: total, fat: s.fatSectors(lo), clusters: lo}
	v.reserved = s.minReserved() + total - s.sectors(lo)
	return v
}

// clustersOf returns the number of clusters of a node of length bytes.
func (s shape) clustersOf(length int64, n *tree.Node) int64 {
	clusters := units.Blocks(length, s.cluster)
	switch {
	case n.ID() != 0:
		return clusters
	case s.bits == 32:
		return max(1, clusters) // the root directory has one even if it is empty
	}
	return 0 // the fixed root directory
}

// offset returns the offset of cluster c in the region, in bytes.
func (v volume) offset(c uint32) int64 {
	return (v.reserved+fats*v.fat+v.root)*v.sector + int64(c-firstCluster)*v.cluster
}

// shapes returns the possible shapes; where their ranges overlap, the preferred one is first. Cluster sizes are those of mkfs.fat, in bytes
// whatever the sector size: for FAT12 and FAT16 they double from 2 KiB on as the volume grows, for FAT32 there is a table.
func shapes(o Options, slots int32) []shape {
	var all []shape
	root := units.Blocks(int64(min(max(slots+rootRoom, rootSlots), maxSlots))*slotSize, o.SectorSize)
	add := func(bits int, cluster, over, upTo int64) {
		if cluster < o.SectorSize || o.Bits != 0 && o.Bits != bits {
			return
		}
		s := shape{bits: bits, sector: o.SectorSize, cluster: cluster, root: root}
		if bits == 32 {
			s.root = 0
		}
		limit := clusterLimits[bits]
		s.lo = max(s.sectors(limit.min), over/o.SectorSize+1)
		s.hi = min(s.sectors(limit.max+1)-1, upTo/o.SectorSize, maxSectors)
		if s.lo <= s.hi {
			all = append(all, s)
		}
	}
	addSmall(o, add)
	addLarge(o, add)
	return all
}

// addSmall adds FAT12 and FAT16, below 512 MiB unless the type is given.
func addSmall(o Options, add func(bits int, cluster, over, upTo int64)) {
	upTo := int64(math.MaxInt64)
	if o.Bits == 0 {
		upTo = 512*units.MiB - o.SectorSize
	}
	for c := 2 * units.KiB; c <= maxCluster; c *= 2 {
		add(12, c, 0, upTo)
		add(16, c, 0, upTo)
	}
	if o.Bits == 16 { // for volumes that would be FAT12 by default: smaller clusters, so that there are enough for FAT16
		add(16, units.KiB, 0, upTo)
		add(16, 512, 0, upTo)
	}
}

// addLarge adds FAT32: clusters of 512 bytes up to 260 MiB, of 4 KiB up to 8 GiB, and so on.
func addLarge(o Options, add func(bits int, cluster, over, upTo int64)) {
	over := int64(0)
	if o.Bits == 0 {
		over = 512*units.MiB - o.SectorSize
	}
	for _, row := range []struct{ cluster, upTo int64 }{
		{512, 260 * units.MiB},
		{4 * units.KiB, 8 * units.GiB},
		{8 * units.KiB, 16 * units.GiB},
		{16 * units.KiB, 32 * units.GiB},
		{maxCluster, math.MaxInt64},
	} {
		cluster := max(row.cluster, o.SectorSize)
		add(32, cluster, over, row.upTo)
		over = max(over, row.upTo)
	}
}

// choose returns the shape of a volume of the given number of sectors.
func choose(all []shape, sectors int64) (shape, bool) {
	for _, s := range all {
		if s.lo <= sectors && sectors <= s.hi {
			return s, true
		}
	}
	return shape{}, false
}
