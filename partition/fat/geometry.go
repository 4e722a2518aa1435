package fat

import (
	"encoding/binary"
	"fmt"
	"io"

	"imprint/internal/units"
)

// A geometry is the layout of a volume that is read, from its boot sector. Offsets are in bytes from the front of the region.
type geometry struct {
	boot bootSector
	more bootSector32 // zero unless bits is 32
	last bootSectorEnd

	image           io.ReaderAt
	bits            int
	sector, cluster int64 // bytes
	fat, fatSize    int64 // of the first FAT; its size in bytes
	root, rootSize  int64 // of the fixed root directory; rootSize is 0 in FAT32
	data            int64 // of cluster 2
	clusters        int64 // a count
	size            int64 // bytes of the volume
}

// parseBoot decodes the boot sector, the 512 bytes b, of a region of size bytes. Fields that decide where the parts of the volume lie must
// be right; Check checks the others.
func parseBoot(b []byte, size int64) (*geometry, error) {
	g := &geometry{}
	if err := g.decode(b); err != nil {
		return nil, err
	}
	if err := g.sizes(); err != nil {
		return nil, err
	}
	return g, g.parts(size)
}

// decode decodes the fields. FATSz16 is 0 in FAT32 only, and by this Linux, mtools and fsck.fat recognise it too.
func (g *geometry) decode(b []byte) error {
	n := 0
	fields := []any{&g.boot, &g.more, &g.last}
	if g.bits = 32; binary.LittleEndian.Uint16(b[fatSz16At:]) != 0 {
		g.bits, fields = 16, []any{&g.boot, &g.last}
	}
	for _, f := range fields {
		k, err := binary.Decode(b[n:], binary.LittleEndian, f)
		if err != nil {
			return err
		}
		n += k
	}
	return nil
}

// fatSz16At is the offset of the field FATSz16.
const fatSz16At = 22

// sizes checks the sizes of sectors and clusters, and the numbers of FATs and reserved sectors ("Boot Sector and BPB").
func (g *geometry) sizes() error {
	b := g.boot
	power := func(n int64) bool { return n&(n-1) == 0 && n > 0 }
	g.sector, g.cluster = int64(b.BytsPerSec), int64(b.SecPerClus)*int64(b.BytsPerSec)
	switch {
	case !power(g.sector) || g.sector < 512 || g.sector > 4096:
		return fmt.Errorf("BytsPerSec is %d, 512, 1024, 2048 or 4096 is expected", b.BytsPerSec)
	case !power(g.cluster):
		return fmt.Errorf("SecPerClus is %d, a power of two is expected", b.SecPerClus)
	case b.RsvdSecCnt == 0:
		return fmt.Errorf("RsvdSecCnt is 0, at least 1 is expected")
	case b.NumFATs == 0:
		return fmt.Errorf("NumFATs is 0, at least 1 is expected")
	}
	return nil
}

// parts computes where everything lies. The number of clusters decides between FAT12 and FAT16 ("FAT Type Determination"); decode has
// recognised FAT32.
func (g *geometry) parts(size int64) error {
	b := g.boot
	total, fatSize := int64(b.TotSec16), int64(b.FATSz16)
	if total == 0 {
		total = int64(b.TotSec32)
	}
	if g.bits == 32 {
		fatSize = int64(g.more.FATSz32)
	}
	g.size, g.fatSize = total*g.sector, fatSize*g.sector
	g.fat = int64(b.RsvdSecCnt) * g.sector
	g.root = g.fat + int64(b.NumFATs)*g.fatSize
	g.rootSize = int64(b.RootEntCnt) * slotSize
	g.data = g.root + units.Align(g.rootSize, g.sector)
	g.clusters = (g.size - g.data) / g.cluster
	if g.bits != 32 && g.clusters <= clusterLimits[12].max {
		g.bits = 12
	}
	return g.fits(size)
}

// fits checks that the parts of the volume lie in the region and are large enough for the clusters.
func (g *geometry) fits(size int64) error {
	switch {
	case g.size > size:
		return fmt.Errorf("the volume has %d bytes, the region %d", g.size, size)
	case g.size-g.data < g.cluster:
		return fmt.Errorf("the first cluster is at byte %d, and the volume ends at %d", g.data, g.size)
	case g.clusters > maxClusters(g.bits):
		return fmt.Errorf("%d clusters, FAT%d has %d at most", g.clusters, g.bits, maxClusters(g.bits))
	case g.fatSize*8/int64(g.bits) < g.clusters+firstCluster:
		return fmt.Errorf("a FAT of %d bytes is too small for %d clusters", g.fatSize, g.clusters)
	case g.bits == 32 && g.rootSize != 0:
		return fmt.Errorf("RootEntCnt is %d, 0 is expected in FAT32", g.boot.RootEntCnt)
	}
	return nil
}

// maxClusters returns the largest number of clusters of a volume: values of entries from the mark of a bad cluster on are not numbers.
func maxClusters(bits int) int64 { return int64(badCluster(bits)) - firstCluster }

// badCluster returns the entry of a cluster that cannot be used. Entries above it end a chain ("FAT Data Structure").
func badCluster(bits int) uint32 { return uint32(1)<<min(bits, 28) - 9 }

// endOfChain returns the entry of a chain's last cluster.
func endOfChain(bits int) uint32 { return uint32(1)<<min(bits, 28) - 1 }

// offset returns the offset of a cluster in bytes.
func (g *geometry) offset(c uint32) int64 { return g.data + int64(c-firstCluster)*g.cluster }

// has reports whether c is the number of a cluster.
func (g *geometry) has(c uint32) bool { return c >= firstCluster && int64(c) < g.clusters+firstCluster }

// entryAt returns the offset of the first byte with bits of entry c in the first FAT. Two entries of 12 bits share a byte.
func (g *geometry) entryAt(c uint32) int64 { return g.fat + int64(c)*int64(g.bits)/8 }

// entryBytes returns the number of bytes that the entries of all clusters take in a FAT.
func (g *geometry) entryBytes() int64 {
	return ((g.clusters+firstCluster)*int64(g.bits) + 7) / 8
}
