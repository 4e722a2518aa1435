package fat

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"imprint/internal/fault"
	"imprint/internal/tree"
)

// A Volume is a file system read from an image.
type Volume struct {
	Tree        *tree.Tree // contents lie in the image; the chain of a file is followed when its blob is opened
	Label       string     // of the root directory, else of the boot sector; "" for none
	ID          string     // serial number in the form XXXX-XXXX
	Bits        int        // 12, 16 or 32
	SectorSize  int64      // bytes
	ClusterSize int64      // bytes
	Clusters    int64      // a count
	Size        int64      // bytes, as the boot sector counts them
	Dirty       bool       // it was not unmounted after the last change

	geometry *geometry
	owned    func() *scan // all chains, followed once
}

// Read reads the file system in an image of size bytes: its boot sector and its directories. A fault that would hide a part of the tree is
// an error with the path; [Inspect] returns the rest of such a tree. A fault of a file's chain is an error when its blob is opened;
// [Volume.Check] finds them all.
//
// A name is the long one if it belongs to its entry, has no unpaired surrogate and takes at most 255 bytes in UTF-8, and else the short one,
// in the case that Windows NT gives it. Directories have mode 0755, files 0644 or, if they are read-only, 0444. FAT has no time zone; times
// are taken as UTC.
//
// A hostile image costs memory in proportion to its directories: none of their clusters is read twice.
func Read(image io.ReaderAt, size int64) (*Volume, error) {
	g, err := readBoot(image, size, 0)
	if err != nil {
		return nil, fmt.Errorf("read FAT: boot sector: %w", err)
	}
	s := newScan(g, true, nil)
	t, err := s.root()
	if err != nil {
		return nil, fmt.Errorf("read FAT: %w", err)
	}
	return newVolume(g, s, t)
}

// Inspect is [Read] and [Volume.Check] of an image that may be damaged: it reports all faults, and returns what can be read in spite of them.
// If the boot sector cannot be used, it uses the backup of FAT32.
func Inspect(image io.ReaderAt, size int64, report fault.Report) (*Volume, error) {
	g, err := readBoot(image, size, 0)
	if err != nil {
		report(fault.Fault{Object: "boot sector", Text: err.Error()})
		if g = findBackup(image, size); g == nil {
			return nil, fmt.Errorf("read FAT: boot sector: %w", err)
		}
	}
	s := newScan(g, false, nil)
	t, err := s.root()
	if err != nil {
		return nil, fmt.Errorf("read FAT: %w", err)
	}
	v, err := newVolume(g, s, t)
	if err == nil {
		v.Check(report)
	}
	return v, err
}

// readBoot reads the boot sector at an offset.
func readBoot(image io.ReaderAt, size, at int64) (*geometry, error) {
	if size < at+bootSize {
		return nil, fmt.Errorf("%d bytes are too few", size)
	}
	b := make([]byte, bootSize)
	if err := readFull(image, b, at); err != nil {
		return nil, err
	}
	g, err := parseBoot(b, size)
	if err == nil {
		g.image = image
	}
	return g, err
}

// findBackup looks for the copy of the boot sector, which is in sector 6 of FAT32, whatever the size of a sector.
func findBackup(image io.ReaderAt, size int64) *geometry {
	for sector := int64(512); sector <= 4096; sector *= 2 {
		g, err := readBoot(image, size, backupAt*sector)
		if err == nil && g.bits == 32 && g.sector == sector {
			return g
		}
	}
	return nil
}

func newVolume(g *geometry, s *scan, t *tree.Tree) (*Volume, error) {
	v := &Volume{
		Tree: t, Bits: g.bits, SectorSize: g.sector, ClusterSize: g.cluster, Clusters: g.clusters, Size: g.size, geometry: g,
		Label: g.bootLabel(),
	}
	if g.last.BootSig == extBootSig {
		v.ID = fmt.Sprintf("%04X-%04X", g.last.VolID>>16, g.last.VolID&0xffff)
	}
	if s.label != nil {
		v.Label = s.label.Name.text(0, len(short{}))
	}
	v.owned = sync.OnceValue(func() *scan {
		all := newScan(g, false, nil)
		_, _ = all.root() // Check reports the faults
		return all
	})
	flags, err := s.table.entry(1)
	v.Dirty = g.last.Reserved1&dirtyBoot != 0 || flags&g.cleanBit() == 0 && g.bits != 12
	return v, err
}

// noLabel is the label of a boot sector for a volume that has none, or one only in its root directory.
const noLabel = "NO NAME"

func (g *geometry) bootLabel() string {
	label := g.last.VolLab.text(0, len(short{}))
	if g.last.BootSig != extBootSig || strings.TrimRight(label, "\x00") == "" || label == noLabel {
		return ""
	}
	return label
}

// Marks of a volume that is in use: in the boot sector, and as bits of entry 1 that are cleared ("FAT Data Structure").
const (
	dirtyBoot = 0x01
	errorBoot = 0x02
)

// cleanBit is set in entry 1 of a volume that is not in use. FAT12 has none.
func (g *geometry) cleanBit() uint32 {
	if g.bits == 32 {
		return 0x08000000
	}
	return 0x8000
}

// FreeClusters counts the free clusters, by reading the FAT.
func (v *Volume) FreeClusters() (n int64, err error) {
	t := v.geometry.active()
	for c := uint32(firstCluster); v.geometry.has(c); c++ {
		e, err := t.entry(c)
		if err != nil {
			return 0, err
		}
		if e == 0 {
			n++
		}
	}
	return n, nil
}

// IsBootSector reports whether the first 512 bytes of a region may be the boot sector of a FAT file system: other code that starts with a
// jump and ends in the same signature has no sizes in the fields of the BPB.
func IsBootSector(b []byte) bool {
	sector, cluster, fats, media := int(b[11])|int(b[12])<<8, int(b[13]), b[16], b[21]
	return (sector == 512 || sector == 1024 || sector == 2048 || sector == 4096) && cluster != 0 && cluster&(cluster-1) == 0 &&
		(fats == 1 || fats == 2) && media >= 0xf0
}
