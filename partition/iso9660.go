package partition

import (
	"fmt"
	"io"
	"regexp"

	"imprint/internal/diag"
	"imprint/partition/iso9660"
)

// maxVolumeID is the length of a volume identifier in bytes (ECMA-119, 8.4.7).
const maxVolumeID = 32

var volumeIDForm = regexp.MustCompile(`^[A-Z0-9_]{1,32}$`)

var iso9660Filesystem = Filesystem{
	Name: "iso9660", Store: true, Owners: true, WholeDisk: true, MaxFile: iso9660.MaxFile,
	Refuses: map[string]string{
		"type": "it is the image itself", "partuuid": "an ISO is found by ${iso.uuid}", "uuid": "it is derived, and is ${iso.uuid}",
		"size": "an ISO is as large as its content", "min-size": "an ISO is as large as its content",
		"free":   "an ISO is as large as its content, and read-only",
		"offset": "an ISO begins with its tree", "align": "an ISO begins with its tree", "flags": "", "content": contentHint, "engine": "", "features": "",
	},
	CheckLabel: func(label string) error {
		if !volumeIDForm.MatchString(label) {
			return diag.Mistake{
				Text: fmt.Sprintf("%q is not valid as the ID of an ISO volume", label),
				Hint: fmt.Sprintf("use up to %d of A-Z 0-9 _, as in %q", maxVolumeID, volumeIDOf(label)),
			}
		}
		return nil
	},
	DefaultLabel: func(image, _ string) string { return volumeIDOf(image) },
	Carries:      iso9660.Check,
	VolumeID:     func(s *Spec) string { return iso9660.UUID(s.Modified) },
	plan:         newISO,
	probe:        func(head []byte) bool { return has(head, 16*isoBlock+1, "CD001") },
	open: func(r io.ReaderAt, size int64, omit []string) (*Volume, error) {
		v, err := iso9660.ReadPart(r, size, omit...)
		if err != nil {
			return nil, err
		}
		return &Volume{
			Tree: v.Tree, Label: v.ID, ID: v.UUID(), Size: v.Blocks * isoBlock, Stats: Stats{Exact: true, BlockSize: isoBlock},
			Check: v.Check, Explain: v.Explain,
		}, nil
	},
}

// volumeIDOf turns a name into a volume ID that every reader of ISO 9660 accepts: d-characters (ECMA-119, 8.4.7).
func volumeIDOf(name string) string {
	id := upper(name, "")
	return id[:min(len(id), maxVolumeID)]
}

// Hybrid says how an ISO 9660 image boots and what follows its tree. It is hybrid since it boots from a CD and, as a disk,
// from a USB stick.
type Hybrid struct {
	BIOS     string    // path of a program in the tree that a BIOS starts from a CD; "" for none
	Pointers []Pointer // in that program, to itself
	ESP      int64     // bytes of the EFI system partition after the tree, which UEFI starts from a CD; 0 for none
	Align    int64     // alignment of that partition, bytes
}

// A Pointer is a place in a program for the number of its own sector: 8 bytes at At, little-endian, get the sector of 512
// bytes on the disk, plus Plus.
type Pointer = iso9660.Pointer

// ISOSystemArea is the size of the area at the front of an ISO for boot code and a partition table, in bytes (ECMA-119,
// 6.2.1). The ISO's own partition begins after it, so that it can be mounted as well as the whole disk.
const ISOSystemArea = 32 << 10

// isoBlock is the size of a logical block in bytes.
const isoBlock = 2048

// isoMaker adapts an ISO 9660 volume to this package's interfaces.
type isoMaker struct{ *iso9660.Plan }

func newISO(s Spec) (Maker, error) {
	o := iso9660.Options{
		VolumeID: s.Label, Created: s.Epoch, Modified: s.Modified, PartitionOffset: ISOSystemArea / isoBlock,
		ESP: s.Hybrid.ESP, Align: s.Hybrid.Align,
	}
	if h := s.Hybrid; h.BIOS != "" {
		o.BIOS = &iso9660.BIOSImage{Path: h.BIOS, InfoTable: true, Pointers: h.Pointers}
	}
	p, err := iso9660.New(s.Tree, o)
	if err != nil {
		return nil, err
	}
	return isoMaker{p}, nil
}

// Grain implements Placer.
func (m isoMaker) Grain() int64 { return isoBlock }

// Stats implements Describer.
func (m isoMaker) Stats() Stats { return Stats{Exact: true, BlockSize: isoBlock} }
