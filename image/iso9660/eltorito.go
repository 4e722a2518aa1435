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

// A BootImage is what firmware of one platform starts from a CD.
type BootImage struct {
	Platform byte
	Offset   int64 // bytes
	Load     int64 // bytes that firmware loads, or of the file system in it; 65535 sectors of 512 at most
}

const (
	entrySize  = 32
	bootable   = 0x88
	lastHeader = 0x91
	moreHeader = 0x90
)

// bootImages reads the boot catalog that a boot record names by its block (El Torito, 2.0).
func (rd *reader) bootImages(record []byte) ([]BootImage, error) {
	if string(record[7:30]) != "EL TORITO SPECIFICATION" {
		return nil, nil
	}
	var c [block]byte
	if err := rd.read(c[:], int64(binary.LittleEndian.Uint32(record[71:]))*block); err != nil {
		return nil, fmt.Errorf("read boot catalog: %v", err)
	}
	sum := uint16(0)
	for i := 0; i < entrySize; i += 2 {
		sum += binary.LittleEndian.Uint16(c[i:])
	}
	if c[0] != 1 || c[30] != 0x55 || c[31] != 0xaa || sum != 0 {
		return nil, errors.New("read boot catalog: no validation entry")
	}
	return catalog(c[entrySize:], c[1]), nil
}

// catalog reads the entries behind the first one, which has the platform of the second.
func catalog(p []byte, platform byte) (list []BootImage) {
	left, last := 1, false // of the section's entries, and whether it is the last one but for the first, which has no header
	for len(p) >= entrySize {
		e := p[:entrySize]
		p = p[entrySize:]
		switch {
		case left > 0:
			left--
			if e[0] == bootable {
				start, sectors := int64(binary.LittleEndian.Uint32(e[8:])), int64(binary.LittleEndian.Uint16(e[6:]))
				list = append(list, BootImage{platform, start * block, sectors * 512})
			}
		case !last && (e[0] == moreHeader || e[0] == lastHeader):
			platform, left, last = e[1], int(binary.LittleEndian.Uint16(e[2:])), e[0] == lastHeader
		default:
			return list
		}
	}
	return list
}
