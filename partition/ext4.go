package partition

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"imprint/internal/diag"
	"imprint/internal/extent"
	"imprint/internal/units"
	"imprint/partition/ext4"
	"imprint/partition/mke2fs"
)

// Engines that make ext4.
const (
	engineNative = "native"
	engineMke2fs = "mke2fs"
)

// maxExt4Label is the length of s_volume_name in bytes.
const maxExt4Label = 16

var ext4Filesystem = Filesystem{
	Name: "ext4", Engines: []string{engineNative, engineMke2fs}, Store: true, Owners: true, Writable: true, Grows: true, MaxFile: ext4.MaxFile,
	MountType: "ext4", MountOptions: "errors=remount-ro",
	Refuses: map[string]string{"content": contentHint},
	CheckLabel: func(label string) error {
		if len(label) > maxExt4Label {
			return fmt.Errorf("%q is %d bytes long, but ext4 holds %d", label, len(label), maxExt4Label)
		}
		return nil
	},
	DefaultLabel: func(image, partition string) string { return labelOf(image, partition, maxExt4Label) },
	CheckID:      CheckUUID,
	CheckFeatures: func(engine string, words []string) error {
		if engine == engineMke2fs && len(words) > 0 {
			return diag.Mistake{Text: `does not go with engine = "mke2fs"`, Hint: "remove engine: the native one can"}
		}
		return ext4.CheckFeatures(words)
	},
	VolumeID: specUUID,
	probe:    func(head []byte) bool { return has(head, 1024+56, "\x53\xef") },
	open: func(r io.ReaderAt, size int64, omit []string) (*Volume, error) {
		v, err := ext4.ReadPart(r, size, omit...)
		if err != nil {
			return nil, err
		}
		return &Volume{
			Tree: v.Tree, Label: v.Label, ID: v.UUID.String(), Size: v.Size, Features: v.Summary.Features,
			Stats: statsOf(v.Summary), NeedsReplay: v.NeedsRecovery, Check: v.Check, Explain: v.Explain,
		}, nil
	},
	places: func(r io.ReaderAt, size int64) (*Places, error) {
		p, err := ext4.ReadPlaces(r, size)
		return &Places{ext4: p}, err
	},
	plan: func(s Spec) (Maker, error) {
		if s.Engine == engineMke2fs {
			return newMke2fs(s)
		}
		return newExt4(s)
	},
}

// contentHint is the hint for content with a file system.
const contentHint = `it is for filesystem = "none"`

// hostExt4 is an ext4 file system that mke2fs and debugfs make.
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

// Fill implements HostMade.
func (m hostExt4) Fill(ctx context.Context, file string, offset int64) (Packer, error) {
	return m.Begin(ctx, file, offset)
}

// Extents implements extent.Source. Nothing is known until the tools have run.
func (hostExt4) Extents(int64) iter.Seq[extent.Extent] { return extent.List(nil).Extents(0) }

// Stats implements Describer.
func (m hostExt4) Stats() Stats { return Stats{Exact: true, BlockSize: 4096, Inodes: m.Inodes()} }

// leastInodeRatio is the maximum size in bytes per inode, for a file system with few, large files. Inodes cost at most 0.4 %
// of the size. Without them, a system that grows to many times its size at first boot would have space left but no inodes.
const leastInodeRatio = 64 * units.KiB

// ext4Maker adapts a native ext4 file system to this package's interfaces.
type ext4Maker struct {
	*ext4.Plan
	earlier *Places
}

func newExt4(s Spec) (Maker, error) {
	o := ext4.Options{
		Size: s.Size, MinSize: s.MinSize, Free: s.Free, FreeInodes: s.Free / InodeRatio, BytesPerInode: leastInodeRatio,
		Label: s.Label, UUID: s.UUID, HashSeed: s.HashSeed, Epoch: s.Epoch, Features: s.Features,
	}
	o.Spare, o.SpareInodes = s.spare()
	if s.Stable && s.Earlier != nil {
		o.Earlier = s.Earlier.ext4
	}
	p, err := ext4.New(s.Tree, o)
	var small *ext4.TooSmallError
	if errors.As(err, &small) {
		return nil, &DoesNotFit{Needed: small.Needed, Given: small.Given, Inodes: small.Inodes}
	}
	if err != nil {
		return nil, err
	}
	return ext4Maker{p, s.Earlier}, nil
}

// Grain implements Placer.
func (m ext4Maker) Grain() int64 { return m.Summary().BlockSize }

// keeps implements keeper.
func (m ext4Maker) keeps() *Kept {
	if k, whole := m.earlier.anew(); whole {
		return k
	}
	k := m.Kept()
	return &Kept{Anew: k.Anew, Stayed: k.Blocks * m.Grain(), Moved: k.Moved * m.Grain()}
}

// Stats implements Describer.
func (m ext4Maker) Stats() Stats { return statsOf(m.Summary()) }

func statsOf(s ext4.Summary) Stats {
	return Stats{
		Exact: true, BlockSize: s.BlockSize, Inodes: s.Inodes, FreeInodes: s.FreeInodes, FreeBytes: s.FreeBlocks * s.BlockSize,
		Journal: s.JournalBlocks * s.BlockSize,
	}
}
