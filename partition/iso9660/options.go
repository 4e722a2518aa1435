package iso9660

import (
	"fmt"
	"strings"

	"imprint/internal/tree"
)

// Options describe the image to lay out.
type Options struct {
	VolumeID string // 32 bytes at most
	Created  int64  // seconds since 1970
	Modified int64  // likewise; mount, udev and GRUB use it as the UUID, see [UUID]

	// PartitionOffset is the block of 2048 bytes where the ISO's own partition begins, at least 16, or 0 for none. It gets a second set of
	// volume descriptors, path tables and directories, so that the partition can be mounted as well as the whole disk.
	PartitionOffset int64

	BIOS *BIOSImage // started by a BIOS from a CD; may be nil

	// ESP is the size in bytes of an EFI system partition after the ISO, from which UEFI starts on a CD; 0 for none. Its content is not part
	// of the plan.
	ESP   int64
	Align int64 // the ESP begins at a multiple of Align bytes, itself a multiple of 2048; 0: 2048
}

// A BIOSImage is a file of the tree that a BIOS loads and starts: "no emulation", 2048 bytes of it (El Torito, 2.2).
type BIOSImage struct {
	Path string // in the tree

	// InfoTable patches the "boot info table" of mkisofs into the 56 bytes at byte 8: the block of the primary volume descriptor, the block
	// and the length in bytes of this image, the sum of its 32-bit words from byte 64 on, then zeros.
	InfoTable bool
	Pointers  []Pointer // patched in too
}

// A Pointer is a place in a BIOSImage for its own sector number: the 8 bytes at byte At become, in little-endian, the number of the image's
// first sector of 512 bytes on the disk, plus Plus.
type Pointer struct{ At, Plus int64 }

// check refuses options that no image can have.
func (o *Options) check() error {
	switch {
	case len(o.VolumeID) > maxVolumeID || strings.ContainsRune(o.VolumeID, 0):
		return fmt.Errorf("volume ID %q has %d bytes, %d are allowed, none of them NUL", o.VolumeID, len(o.VolumeID), maxVolumeID)
	case o.PartitionOffset != 0 && (o.PartitionOffset < systemArea || o.PartitionOffset >= maxBlocks):
		return fmt.Errorf("partition offset of %d blocks is not 0 and not within %d and %d", o.PartitionOffset, systemArea, int64(maxBlocks))
	case o.ESP < 0 || o.ESP >= maxBlocks*block:
		return fmt.Errorf("ESP of %d bytes is not within 0 and %d", o.ESP, int64(maxBlocks*block))
	case o.Align < 0 || o.Align%block != 0 || o.Align >= maxBlocks*block:
		return fmt.Errorf("alignment of %d bytes is not a multiple of %d", o.Align, block)
	}
	for _, date := range []int64{o.Created, o.Modified} {
		if date < minDate || date > maxDate {
			return fmt.Errorf("date %d is not within %d and %d seconds since 1970", date, int64(minDate), int64(maxDate))
		}
	}
	return nil
}

// find returns the file of a BIOS image, whose patches must lie within it.
func (b *BIOSImage) find(t *tree.Tree) (*tree.Node, error) {
	n := t.Find(b.Path)
	if n == nil {
		return nil, fmt.Errorf("BIOS image %s is not in the tree", b.Path)
	}
	n = n.Inode()
	if n.Kind() != tree.File {
		return nil, fmt.Errorf("BIOS image %s is a %v, not a file", b.Path, n.Kind())
	}
	size := n.Size()
	if size == 0 || b.InfoTable && size < infoTable+infoTableSize {
		return nil, fmt.Errorf("BIOS image %s has %d bytes, too few for a boot info table", b.Path, size)
	}
	for _, p := range b.Pointers {
		if p.At < 0 || p.At > size-pointerSize {
			return nil, fmt.Errorf("BIOS image %s has %d bytes and a pointer at byte %d", b.Path, size, p.At)
		}
	}
	return n, nil
}
