package partition

import (
	"errors"
	"fmt"
	"iter"
	"math"

	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition/ext4"
	"imprint/partition/fat"
	"imprint/partition/mke2fs"
)

// New plans a partition. A size that is too small is a *DoesNotFit; what a file system cannot carry is an error that names the path.
func New(s Spec) (Maker, error) {
	switch {
	case s.Filesystem == "none":
		return newRaw(s)
	case s.Filesystem == "fat" && s.Syslinux:
		return newSyslinux(s)
	case s.Filesystem == "fat":
		return newFAT(s)
	case s.Filesystem == "ext4" && s.Engine == "mke2fs":
		return newMke2fs(s)
	case s.Filesystem == "ext4" && s.Engine == "native":
		return newExt4(s)
	}
	return nil, fmt.Errorf("no engine %q makes the file system %q", s.Engine, s.Filesystem)
}

// fatGrain keeps the clusters of a volume on the blocks of the host's file system and of flash, whatever its size.
const fatGrain = 4 * units.KiB

// fatMaker is a FAT volume in our terms.
type fatMaker struct{ *fat.Plan }

func newFAT(s Spec) (Maker, error) {
	o := fat.Options{
		Size: s.Size, Free: s.Free, SectorSize: s.SectorSize, Label: s.Label, Serial: s.Serial, Epoch: s.Epoch,
		HiddenSectors: hidden(s), Grain: fatGrain,
	}
	p, err := fat.New(s.Tree, o)
	if err == nil && p.Size() < s.MinSize {
		o.Size = units.Align(s.MinSize, fatGrain)
		p, err = fat.New(s.Tree, o)
	}
	var small *fat.SizeError
	if errors.As(err, &small) {
		return nil, &DoesNotFit{Needed: small.Need, Given: small.Given}
	}
	if err != nil {
		return nil, err
	}
	return fatMaker{p}, nil
}

// hidden is the field of the boot sector that says where the volume begins; beyond its 32 bits it is 0, as for an unknown place.
func hidden(s Spec) uint32 {
	if n := s.Offset / s.SectorSize; n <= math.MaxUint32 {
		return uint32(n)
	}
	return 0
}

func (m fatMaker) Place(list []extent.Extent, file *tree.Node) []extent.Extent {
	return m.Plan.Place(list, file)
}
func (m fatMaker) BlockSize() int64 { return m.ClusterSize() }

// Stats implements Describer.
func (m fatMaker) Stats() Stats {
	return Stats{Exact: true, BlockSize: m.ClusterSize(), FreeBytes: m.FreeClusters() * m.ClusterSize(), FATBits: m.Bits()}
}

// hostExt4 is an ext4 file system that the host's tools make, in our terms.
type hostExt4 struct{ *mke2fs.Plan }

func newMke2fs(s Spec) (Maker, error) {
	o := mke2fs.Options{
		Size: s.Size, Free: s.Free, FreeInodes: s.Free / InodeRatio, Label: s.Label, UUID: s.UUID, HashSeed: s.HashSeed, Epoch: s.Epoch,
		Scratch: s.Scratch,
	}
	p, err := mke2fs.New(s.Tree, o)
	if err == nil && p.Size() < s.MinSize {
		o.Size = s.MinSize
		p, err = mke2fs.New(s.Tree, o)
	}
	var small *mke2fs.SizeError
	if errors.As(err, &small) {
		return nil, &DoesNotFit{Needed: small.Need, Given: small.Size}
	}
	if err != nil {
		return nil, err
	}
	return hostExt4{p}, nil
}

// Extents implements extent.Source: nothing is known before the tools have run.
func (hostExt4) Extents(int64) iter.Seq[extent.Extent] { return extent.List(nil).Extents(0) }

// Stats implements Describer.
func (m hostExt4) Stats() Stats { return Stats{BlockSize: 4096, Inodes: m.Inodes()} }

// leastInodeRatio is a floor for the inodes of a file system of few large files: one for so many bytes. It costs 0.4 % of the size at
// most, and without it a system that grows to many times its size at first boot would have room for bytes but not for files.
const leastInodeRatio = 64 * units.KiB

// ext4Maker is an ext4 file system of our own making, in our terms.
type ext4Maker struct{ *ext4.Plan }

func newExt4(s Spec) (Maker, error) {
	p, err := ext4.New(s.Tree, ext4.Options{
		Size: s.Size, MinSize: s.MinSize, Free: s.Free, FreeInodes: s.Free / InodeRatio, BytesPerInode: leastInodeRatio,
		Label: s.Label, UUID: s.UUID, HashSeed: s.HashSeed, Epoch: s.Epoch, Features: s.Features,
	})
	var small *ext4.TooSmallError
	if errors.As(err, &small) {
		return nil, &DoesNotFit{Needed: small.Needed, Given: small.Given, Inodes: small.Inodes}
	}
	if err != nil {
		return nil, err
	}
	return ext4Maker{p}, nil
}

// BlockSize implements Placer.
func (m ext4Maker) BlockSize() int64 { return m.Summary().BlockSize }

// Stats implements Describer.
func (m ext4Maker) Stats() Stats {
	s := m.Summary()
	return Stats{
		Exact: true, BlockSize: s.BlockSize, Inodes: s.Inodes, FreeInodes: s.FreeInodes, FreeBytes: s.FreeBlocks * s.BlockSize,
		Journal: s.JournalBlocks * s.BlockSize,
	}
}

// CheckFeatures refuses features that the native ext4 engine cannot turn on or off.
func CheckFeatures(words []string) error { return ext4.CheckFeatures(words) }
