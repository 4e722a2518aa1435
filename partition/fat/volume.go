package fat

import (
	"math"

	"imprint/internal/tree"
	"imprint/internal/units"
)

const (
	firstCluster = 2  // the number of the first cluster; entries 0 and 1 of a FAT mean something else
	slotSize     = 32 // bytes of a directory entry
	fats         = 2
	rootSlots    = 512 // entries that a fixed root directory has at least, as everybody's
	rootRoom     = 112 // and how many of them stay free, since it never grows: a floppy disk has as many

	// A directory ends at 65,536 entries of 2 MiB in all ("FAT Directory Structure"). A fixed root directory has to fill whole sectors and to count
	// its entries in 16 bits, which leaves this many with sectors of 4096 bytes. One limit for all is easier to understand.
	maxSlots = 65536 - 4096/slotSize

	maxSectors = math.MaxUint32 // the boot sector counts sectors in 32 bits
	maxCluster = 32 << 10       // bytes; with more, some drivers fail ("Boot Sector and BPB")
)

// clusterLimits are the fewest and the most clusters of a type ("FAT Type Determination"). FAT16 may have 4085, but the driver of
// Windows takes less than 4087 for FAT12. FAT32 ends before the entry values that mark bad clusters.
var clusterLimits = map[int]struct{ min, max int64 }{
	12: {1, 4084},
	16: {4087, 65524},
	32: {65525, 0x0ffffff5},
}

// A shape is what is chosen by size: the type and the cluster size, with the range of volumes that it is for.
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

// fatSectors is the size of one FAT for so many clusters.
func (s shape) fatSectors(clusters int64) int64 {
	return units.Blocks((clusters+firstCluster)*int64(s.bits), 8*s.sector)
}

// minReserved are the sectors before the first FAT: 32 in FAT32 ("Boot Sector and BPB"), of which 0, 1, 6 and 7 are used.
func (s shape) minReserved() int64 {
	if s.bits == 32 {
		return 32
	}
	return 1
}

// sectors is the size of the smallest volume with so many clusters. It grows with each cluster.
func (s shape) sectors(clusters int64) int64 {
	return s.minReserved() + fats*s.fatSectors(clusters) + s.root + clusters*(s.cluster/s.sector)
}

// volume is the volume of that many sectors, at least s.lo: with as many clusters as fit, and the rest in the reserved sectors.
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

// clustersOf are the clusters for so many bytes of a node.
func (s shape) clustersOf(length int64, n *tree.Node) int64 {
	clusters := units.Blocks(length, s.cluster)
	switch {
	case n.ID() != 0:
		return clusters
	case s.bits == 32:
		return max(1, clusters) // the root directory has one even with nothing in it
	}
	return 0 // the fixed root directory
}

// offset is where cluster c lies in the region, in bytes.
func (v volume) offset(c uint32) int64 {
	return (v.reserved+fats*v.fat+v.root)*v.sector + int64(c-firstCluster)*v.cluster
}

// shapes are what a volume can be like, the better ones first where ranges overlap. Cluster sizes are those of mkfs.fat, taken in bytes
// for every sector size: FAT12 and FAT16 double them from 2 KiB on as the volume grows, FAT32 has a table by size.
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

// addSmall adds FAT12 and FAT16. Where the type is left open, they end below 512 MiB.
func addSmall(o Options, add func(bits int, cluster, over, upTo int64)) {
	upTo := int64(math.MaxInt64)
	if o.Bits == 0 {
		upTo = 512*units.MiB - o.SectorSize
	}
	for c := 2 * units.KiB; c <= maxCluster; c *= 2 {
		add(12, c, 0, upTo)
		add(16, c, 0, upTo)
	}
	if o.Bits == 16 { // asked for in a volume that would be FAT12
		add(16, units.KiB, 0, upTo)
		add(16, 512, 0, upTo)
	}
}

// addLarge adds FAT32: 512 bytes up to 260 MiB, 4 KiB up to 8 GiB and so on.
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

// choose is the shape of a volume of so many sectors.
func choose(all []shape, sectors int64) (shape, bool) {
	for _, s := range all {
		if s.lo <= sectors && sectors <= s.hi {
			return s, true
		}
	}
	return shape{}, false
}
