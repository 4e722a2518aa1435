package bootloader

import (
	"encoding/binary"
	"slices"
)

// BootCodeSize is how many bytes of a disk's first sector are code; the disk signature and the partition table follow (UEFI 2.10, 5.2.1).
const BootCodeSize = 440

// BIOSSector is the unit in bytes that a BIOS counts in.
const BIOSSector = 512

// Code is a program that a BIOS or another program loads by sector number, and that may hold sector numbers itself.
type Code struct {
	Bytes    []byte
	Pointers []Pointer
}

// A Pointer is a sector number in code: the 8 bytes at At, little-endian, hold the number of the sector where the raw content begins,
// and Plus more.
type Pointer struct{ At, Plus int64 }

// Linked is the code with its pointers set, for raw content that begins at the given sector of [BIOSSector] bytes.
func (c Code) Linked(sector int64) []byte {
	linked := slices.Clone(c.Bytes)
	for _, p := range c.Pointers {
		binary.LittleEndian.PutUint64(linked[p.At:], uint64(sector+p.Plus))
	}
	return linked
}
