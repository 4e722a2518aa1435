// Package fat plans a FAT file system: for a tree of files it computes where every structure and every file lies in a region of a disk, and
// returns the result as extents. It opens no file and writes nothing; tables and directories are generated when they are read, so that a
// plan takes a few bytes per file whatever the size of the volume. [New] returns a [Plan]. [Read] is the inverse, for volumes of any tool,
// and returns a [Volume].
//
// The structures and their limits are those of "Microsoft Extensible Firmware Initiative FAT32 File System Specification", version
// 1.03, which the UEFI specification (2.10, section 13.3) requires of an EFI system partition; titles in quotes below are sections of it.
// Whether a volume is FAT12, FAT16 or FAT32 follows from the number of its clusters alone ("FAT Type Determination").
//
// The layout of a volume is, in sectors:
//
//	reserved sectors   boot sector; in FAT32 also FSInfo (1) and the copies of both (6 and 7)
//	two equal FATs     one entry of 12, 16 or 32 bits for each cluster: the next one of the file
//	root directory     FAT12 and FAT16 only; in FAT32 it is a chain of clusters like any other
//	clusters           numbered from 2 on
//
// Space that is less than a cluster is added to the reserved sectors, so that the clusters end with the region, and are aligned if its size
// is a multiple of the cluster size.
//
// Directories and files are laid out without gaps in the order of tree.Walk, each in consecutive clusters, unless they keep to the places of an earlier
// volume ([Options.Earlier]).
//
// FAT has no owners, permissions, symbolic links, devices or hard links. Hard links become copies; kinds other than files and directories
// are errors, and so are extended attributes.
package fat

import (
	"fmt"
	"math"
	"sort"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// Options are the properties of the volume. The zero value of each is useful, except that SectorSize must be set.
type Options struct {
	Size          int64   // of the region in bytes, a multiple of SectorSize; 0 for the smallest with room for the tree and Free
	Grain         int64   // if Size is 0: the size is rounded up to a multiple of this many bytes; 0 for SectorSize
	Free          int64   // bytes that stay free, rounded up to whole clusters
	SectorSize    int64   // of the disk: 512 or 4096 bytes
	Label         string  // up to 11 characters: capital letters, digits, spaces and some signs; "" for none
	Serial        uint32  // the volume's serial number, which tools show as XXXX-XXXX
	Epoch         int64   // date of the label, in seconds since 1970; all dates are clamped to the years 1980 to 2107
	HiddenSectors uint32  // sectors of the disk before the region; 0 if unknown
	Earlier       *Places // where an earlier volume had what is at the same paths: it stays there, as far as it fits, if the volume has the same size
	Bits          int     // 12, 16 or 32; 0 to choose by size as mkfs.fat does: FAT12 below 8 MiB, FAT32 from 512 MiB on
}

// A Plan is the layout of a volume. It does not change, and may be used by any number of goroutines.
type Plan struct {
	opts  Options
	tree  *tree.Tree
	vol   volume
	slots []int32  // by node ID: entries in the directory, 0 for files
	start []uint32 // by node ID: first cluster, 0 for none
	fixed extent.List

	chains []chain // in the order of clusters
	used   int64   // clusters
	kept   Kept
}

// A chain is the clusters [first, end) of a node.
type chain struct {
	first, end uint32
	id         int32
}

// New plans a volume for the tree. A tree that does not fit is a [*SizeError]; a name or a node that FAT cannot hold is an error with its
// path. File contents are not opened; only their sizes matter.
func New(t *tree.Tree, o Options) (*Plan, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	slots, err := survey(t, o.Label != "")
	if err != nil {
		return nil, err
	}
	p := &Plan{opts: o, tree: t, slots: slots}
	if p.vol, err = p.fit(); err != nil {
		return nil, err
	}
	p.allocate()
	p.fixed = p.structures()
	return p, nil
}

func (o Options) check() error {
	switch {
	case o.SectorSize != 512 && o.SectorSize != 4096:
		return fmt.Errorf("plan FAT: sectors of %d bytes, not 512 or 4096", o.SectorSize)
	case o.Bits != 0 && o.Bits != 12 && o.Bits != 16 && o.Bits != 32:
		return fmt.Errorf("plan FAT: FAT%d, not FAT12, FAT16 or FAT32", o.Bits)
	case o.Size < 0 || o.Size%o.SectorSize != 0:
		return fmt.Errorf("plan FAT: size of %d bytes is not a multiple of the sector size %d", o.Size, o.SectorSize)
	case o.Grain < 0 || o.Grain%o.SectorSize != 0 || o.Grain > math.MaxUint32:
		return fmt.Errorf("plan FAT: grain of %d bytes is not a multiple of the sector size %d below 4 GiB", o.Grain, o.SectorSize)
	case o.Free < 0 || o.Free > math.MaxUint32*o.SectorSize:
		return fmt.Errorf("plan FAT: %d bytes of free space, the limit is %d", o.Free, math.MaxUint32*o.SectorSize)
	}
	return checkLabel(o.Label)
}

// allocate assigns clusters to every node. A fixed root directory has none.
func (p *Plan) allocate() {
	if p.opts.Earlier != nil {
		p.keep(p.opts.Earlier)
	}
	if p.chains == nil {
		p.inOrder()
	}
	p.start = make([]uint32, p.tree.Len())
	for _, c := range p.chains {
		p.start[c.id] = c.first
		p.used += int64(c.end - c.first)
	}
}

// inOrder assigns clusters to the nodes in the order of the tree.
func (p *Plan) inOrder() {
	next := uint32(firstCluster)
	for n := range p.tree.Nodes() {
		if clusters := uint32(p.vol.clustersOf(p.length(n), n)); clusters > 0 {
			p.chains = append(p.chains, chain{next, next + clusters, int32(n.ID())})
			next += clusters
		}
	}
}

// length returns the number of bytes that a node uses in its clusters.
func (p *Plan) length(n *tree.Node) int64 {
	if n.Kind() == tree.Dir {
		return int64(p.slots[n.ID()]) * slotSize
	}
	return n.Inode().Size()
}

// from returns the chains that end after cluster c.
func (p *Plan) from(c uint32) []chain {
	return p.chains[sort.Search(len(p.chains), func(i int) bool { return p.chains[i].end > c }):]
}

// last returns the number of the last cluster in use, or 1.
func (p *Plan) last() uint32 {
	if len(p.chains) == 0 {
		return firstCluster - 1
	}
	return p.chains[len(p.chains)-1].end - 1
}

// Kept says what of the earlier volume of [Options.Earlier] has stayed in its place.
func (p *Plan) Kept() Kept { return p.kept }

// Size returns the size of the volume in bytes.
func (p *Plan) Size() int64 { return p.vol.total * p.vol.sector }

// Bits returns the width of an entry of the FAT, which is its type: 12, 16 or 32.
func (p *Plan) Bits() int { return p.vol.bits }

// ClusterSize returns the size of a cluster in bytes.
func (p *Plan) ClusterSize() int64 { return p.vol.cluster }

// Clusters returns the number of clusters of the volume.
func (p *Plan) Clusters() int64 { return p.vol.clusters }

// FreeClusters returns the number of free clusters.
func (p *Plan) FreeClusters() int64 { return p.vol.clusters - p.used }
