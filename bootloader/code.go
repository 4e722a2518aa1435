package bootloader

import (
	"encoding/binary"
	"slices"
)

// BootCodeSize is the size of the code in a disk's first sector in bytes; the disk signature and the partition table follow
// (UEFI 2.10, 5.2.1).
const BootCodeSize = 440

// BIOSSector is the size of a sector for a BIOS in bytes.
const BIOSSector = 512

// Code is a program that a BIOS or another program loads by sector number, and that may contain sector numbers itself.
type Code struct {
	Bytes    []byte
	Pointers []Pointer
}

// A Pointer is a place in code for a sector number: 8 bytes at At, little-endian, get the sector where the raw content begins,
// plus Plus.
type Pointer struct{ At, Plus int64 }

// Linked returns the code with its pointers set, for raw content that begins at the given sector of [BIOSSector] bytes.
func (c Code) Linked(sector int64) []byte {
	linked := slices.Clone(c.Bytes)
	for _, p := range c.Pointers {
		binary.LittleEndian.PutUint64(linked[p.At:], uint64(sector+p.Plus))
	}
	return linked
}
