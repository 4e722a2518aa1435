package iso9660

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Platforms of the boot catalog ("El Torito" Bootable CD-ROM Format Specification 1.0, figure 2; UEFI 2.10, 13.3.2.1).
const (
	BIOS = 0x00
	UEFI = 0xef
)

// A BootImage is a boot image that firmware of one platform starts from a CD.
type BootImage struct {
	Platform byte
	Offset   int64 // bytes
	Load     int64 // bytes that a BIOS loads, or of the file system that UEFI reads; 0: up to the end of the volume
}

// elTorito is the boot system identifier of a boot record, which names the block of the boot catalog (El Torito, figure 7).
const (
	elTorito       = "EL TORITO SPECIFICATION"
	recordSystemID = 7
	recordCatalog  = 71
)

// A boot catalog has entries of 32 bytes: one to validate it, a default one, then sections with a header each (El Torito, 2.0).
const (
	catalogEntry   = 32
	validation     = 0x01
	bootable       = 0x88
	moreHeader     = 0x90
	lastHeader     = 0x91
	entryExtension = 0x44
)

const bootSector = 512 // bytes; the unit of lengths in a boot catalog, whatever the size of a block

// biosLoad is how many sectors of an image a BIOS loads; the image loads the rest itself. Many BIOSes load no more than one block of a CD.
const biosLoad = 4

// putBootRecord writes the volume descriptor that leads to the boot catalog.
func (p *Plan) putBootRecord(b []byte) {
	putDescriptor(b, bootRecord)
	copy(b[recordSystemID:], elTorito)
	binary.LittleEndian.PutUint32(b[recordCatalog:], uint32(p.catalog))
}

// putCatalog writes the boot catalog. The default entry is that for BIOS, and a section has the one for UEFI; without the former, the
// default entry is that for UEFI, which UEFI firmware accepts.
//
// The validation entry (El Torito, figure 2) has the platform in byte 1, a checksum in bytes 28 and 29, and 55 aa at its end. A section header
// (figure 4) has the platform in byte 1 and the number of its entries in bytes 2 and 3.
func (p *Plan) putCatalog(b []byte) {
	var platform byte = UEFI
	if p.bios != nil {
		platform = BIOS
	}
	b[0], b[1], b[30], b[31] = validation, platform, 0x55, 0xaa
	binary.LittleEndian.PutUint16(b[28:], -catalogSum(b))
	b = b[catalogEntry:]
	if p.bios != nil {
		putCatalogEntry(b, p.fileStart(p.bios.id), biosLoad)
		if p.esp == 0 {
			return
		}
		b[catalogEntry], b[catalogEntry+1] = lastHeader, UEFI
		binary.LittleEndian.PutUint16(b[catalogEntry+2:], 1)
		b = b[2*catalogEntry:]
	}
	putCatalogEntry(b, p.esp, espSectors(p.options.ESP))
}

// espSectors returns the size of an ESP in sectors. If it does not fit into 16 bits it is 0, which stands for everything up to the end of
// the volume (UEFI 2.10, 13.3.2.1), and the volume ends with the ESP.
func espSectors(size int64) uint16 {
	if n := (size + bootSector - 1) / bootSector; n < 1<<16 {
		return uint16(n)
	}
	return 0
}

// putCatalogEntry writes a default or section entry (El Torito, figures 3 and 5):
//
//	0  1  0x88: bootable
//	1  1  media: 0, no emulation
//	2  2  segment to load to: 0, the usual one
//	6  2  sectors to load, of 512 bytes
//	8  4  block
func putCatalogEntry(b []byte, start int64, sectors uint16) {
	b[0] = bootable
	binary.LittleEndian.PutUint16(b[6:], sectors)
	binary.LittleEndian.PutUint32(b[8:], uint32(start))
}

// catalogSum returns the sum of the 16-bit words of the validation entry, which the checksum among them makes 0.
func catalogSum(c []byte) (sum uint16) {
	for i := 0; i < catalogEntry; i += 2 {
		sum += binary.LittleEndian.Uint16(c[i:])
	}
	return sum
}

// bootImages reads the boot catalog that a boot record names by its block.
func (rd *reader) bootImages(record []byte) ([]BootImage, error) {
	if string(record[recordSystemID:][:len(elTorito)]) != elTorito {
		return nil, nil
	}
	var c [block]byte
	if err := rd.read(c[:], int64(binary.LittleEndian.Uint32(record[recordCatalog:]))*block); err != nil {
		return nil, fmt.Errorf("read boot catalog: %v", err)
	}
	if c[0] != validation || c[30] != 0x55 || c[31] != 0xaa || catalogSum(c[:]) != 0 {
		return nil, errors.New("read boot catalog: no validation entry")
	}
	return parseCatalog(c[catalogEntry:], c[1]), nil
}

// parseCatalog reads the entries after the validation entry. The first one has the platform of the validation entry.
func parseCatalog(p []byte, platform byte) (list []BootImage) {
	left, last := 1, false // entries left in the section, and whether its header says that it is the last; the default entry has no header
	for ; len(p) >= catalogEntry; p = p[catalogEntry:] {
		switch e := p[:catalogEntry]; {
		case e[0] == entryExtension: // of the entry before
		case left > 0:
			left--
			if e[0] == bootable {
				start, sectors := int64(binary.LittleEndian.Uint32(e[8:])), int64(binary.LittleEndian.Uint16(e[6:]))
				list = append(list, BootImage{platform, start * block, sectors * bootSector})
			}
		case !last && (e[0] == moreHeader || e[0] == lastHeader):
			platform, left, last = e[1], int(binary.LittleEndian.Uint16(e[2:])), e[0] == lastHeader
		default:
			return list
		}
	}
	return list
}
