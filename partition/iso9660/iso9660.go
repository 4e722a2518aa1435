// Package iso9660 writes and reads ISO 9660 images with Rock Ridge: names, kinds, attributes, link targets and contents of a whole tree, and
// the El Torito boot catalog.
//
// The structure is that of ECMA-119 (volume descriptors, path tables, directory records), of the System Use Sharing Protocol (SUSP 1.12), of
// the Rock Ridge Interchange Protocol (RRIP 1.12) and of the "El Torito" Bootable CD-ROM Format Specification 1.0. Every structure has one file,
// which writes and reads it.
//
// [New] lays out an image to the byte before anything is written, and returns this as a [Plan]; README.md describes the layout and its
// reasons. [Read] is the inverse, and returns a [Volume]. It trusts no image: every number is checked before it is used, the tree is read
// once, and memory stays in proportion to the image.
package iso9660

import (
	"encoding/binary"
	"fmt"
)

// block is the size of a logical block in bytes. ECMA-119, 6.2.2, allows others, but no writer uses them.
const block = 2048

// systemArea is the number of blocks before the volume descriptors, which hold boot code and partition tables (ECMA-119, 6.2.1).
const systemArea = 16

// maxDepth bounds the nesting of directories: a path of PATH_MAX bytes, 4096, has at most half as many names.
const maxDepth = 2048

// both reads a number of 32 bits that is recorded in both byte orders (ECMA-119, 7.3.3).
func both(p []byte) (int64, error) {
	n, m := binary.LittleEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
	if n != m {
		return 0, fmt.Errorf("a number is %d in one byte order and %d in the other", n, m)
	}
	return int64(n), nil
}

func putBoth(b []byte, n uint32) {
	binary.LittleEndian.PutUint32(b, n)
	binary.BigEndian.PutUint32(b[4:], n)
}

// putBoth16 writes a number of 16 bits in both byte orders (ECMA-119, 7.2.3).
func putBoth16(b []byte, n uint16) {
	binary.LittleEndian.PutUint16(b, n)
	binary.BigEndian.PutUint16(b[2:], n)
}
