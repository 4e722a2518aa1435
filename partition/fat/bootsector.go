package fat

import (
	"encoding/binary"
	"slices"
)

// The structures of the boot sector ("Boot Sector and BPB"). Fields have the names of the specification without the prefixes BS_ and BPB_.
// Sizes and counts are in sectors except where noted. The fields are in this order and without gaps, so that encoding/binary reads and
// writes them.
type (
	// A bootSector is the beginning of the boot sector of every type of FAT.
	bootSector struct {
		JmpBoot    [3]byte
		OEMName    [8]byte
		BytsPerSec uint16
		SecPerClus uint8
		RsvdSecCnt uint16
		NumFATs    uint8
		RootEntCnt uint16 // entries of the fixed root directory; 0 in FAT32
		TotSec16   uint16 // 0 when TotSec32 counts, always in FAT32
		Media      uint8
		FATSz16    uint16 // 0 in FAT32
		SecPerTrk  uint16
		NumHeads   uint16
		HiddSec    uint32
		TotSec32   uint32
	}

	// A bootSector32 follows in FAT32 only.
	bootSector32 struct {
		FATSz32   uint32
		ExtFlags  uint16
		FSVer     uint16
		RootClus  uint32 // number of the root directory's first cluster
		FSInfo    uint16 // number of a sector
		BkBootSec uint16 // number of a sector
		Reserved  [12]byte
	}

	// A bootSectorEnd is after that, or after the bootSector.
	bootSectorEnd struct {
		DrvNum     uint8 // of the BIOS
		Reserved1  uint8
		BootSig    uint8
		VolID      uint32
		VolLab     short
		FilSysType [8]byte
	}

	// An infoSector is the FSInfo sector of FAT32 ("FAT32 FSInfo Sector Structure and Backup Boot Sector").
	infoSector struct {
		LeadSig   uint32
		Reserved1 [480]byte
		StrucSig  uint32
		FreeCount uint32 // clusters
		NxtFree   uint32 // number of the cluster at which to look for a free one
		Reserved2 [12]byte
		TrailSig  uint32
	}
)

// Values in these structures.
const (
	media         = 0xf8 // a fixed disk
	firstHardDisk = 0x80 // number in a BIOS
	extBootSig    = 0x29 // VolID, VolLab and FilSysType follow

	leadSig  = 0x41615252
	strucSig = 0x61417272
	trailSig = 0xaa550000

	// Sectors in the reserved area of FAT32. The copy of the boot sector must be in sector 6: readers look for it there when the first
	// one, which has its number, cannot be read.
	infoAt   = 1
	backupAt = 6
)

// bootSize is the length in bytes of the content of the boot sector and of the FSInfo sector, even in sectors of 4096 bytes.
const bootSize = 512

// bootSector is the content of the boot sector.
func (p *Plan) bootSector() string {
	v := p.vol
	s := bootSector{
		OEMName:    [8]byte([]byte("MSWIN4.1")), // the name that the specification recommends: some drivers look at it
		BytsPerSec: uint16(v.sector), SecPerClus: uint8(v.cluster / v.sector),
		RsvdSecCnt: uint16(v.reserved), NumFATs: fats, RootEntCnt: uint16(v.root * v.sector / slotSize),
		Media:     media,
		SecPerTrk: 63, NumHeads: 255, // the geometry that BIOSes give a large disk; readers that use sector numbers ignore it
		HiddSec: p.opts.HiddenSectors,
	}
	if v.bits != 32 && v.total < 1<<16 {
		s.TotSec16 = uint16(v.total)
	} else {
		s.TotSec32 = uint32(v.total)
	}
	var more []byte
	if v.bits == 32 {
		more = encode(more, &bootSector32{FATSz32: uint32(v.fat), RootClus: firstCluster, FSInfo: infoAt, BkBootSec: backupAt})
	} else {
		s.FATSz16 = uint16(v.fat)
	}
	more = encode(more, &bootSectorEnd{
		DrvNum: firstHardDisk, BootSig: extBootSig, VolID: p.opts.Serial, VolLab: labelName(p.opts.Label),
		FilSysType: [8]byte([]byte([...]string{12: "FAT12   ", 16: "FAT16   ", 32: "FAT32   "}[v.bits])),
	})
	code := binary.Size(s) + len(more)
	s.JmpBoot = [3]byte{0xeb, byte(code - 2), 0x90} // jmp code; nop
	b := slices.Concat(encode(nil, &s), more, bootCode(code))
	b = append(b, make([]byte, bootSize-2-len(b))...)
	return string(append(b, 0x55, 0xaa))
}

// encode appends a structure.
func encode(b []byte, structure any) []byte {
	b, err := binary.Append(b, binary.LittleEndian, structure)
	if err != nil {
		panic(err) // only a struct without a fixed size fails
	}
	return b
}

// labelName is a volume label as a short name.
func labelName(label string) short {
	if label == "" {
		label = "NO NAME" // of a volume without one
	}
	s := newShort("", "")
	copy(s[:], label)
	return s
}

// bootCode returns code for offset at of the boot sector, which a BIOS loads at 0x7c00 and runs if it is told to boot this volume: it
// prints that there is nothing to boot, and stops.
func bootCode(at int) []byte {
	const size = 25
	text := 0x7c00 + at + size
	code := [size]byte{
		0xfc,       // cld
		0x31, 0xc0, // xor ax, ax
		0x8e, 0xd8, // mov ds, ax
		0xbe, byte(text), byte(text >> 8), // mov si, text
		0xac,       // next: lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x09, // jz stop
		0xb4, 0x0e, // mov ah, 0x0e
		0xbb, 0x07, 0x00, // mov bx, 7
		0xcd, 0x10, // int 0x10
		0xeb, 0xf2, // jmp next
		0xf4,       // stop: hlt
		0xeb, 0xfd, // jmp stop
	}
	return append(code[:], "This volume holds no boot code for a BIOS.\r\n\x00"...)
}

// infoSector is the content of the FSInfo sector. NxtFree, the hint where to look for a free cluster, is the last cluster in use, since
// drivers begin their search after it.
func (p *Plan) infoSector() string {
	return string(encode(nil, &infoSector{
		LeadSig: leadSig, StrucSig: strucSig, FreeCount: uint32(p.FreeClusters()), NxtFree: p.last(), TrailSig: trailSig,
	}))
}
