package ext4

import (
	"encoding/binary"
	"hash/crc32"
)

var le = binary.LittleEndian

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A checksum is a running CRC32C as ext4 keeps it (kernel: "Checksums"): started at all ones and never inverted, so that the
// checksum of one thing can be the start of the next one's.
type checksum uint32

const checksumStart checksum = 0xffffffff

// over continues the checksum with the bytes of p.
func (c checksum) over(p []byte) checksum {
	return checksum(^crc32.Update(^uint32(c), castagnoli, p))
}

// over32 continues the checksum with a little-endian number. It is over for four bytes, without those in memory.
func (c checksum) over32(n uint32) checksum {
	c ^= checksum(n)
	for range 4 {
		c = checksum(castagnoli[byte(c)]) ^ c>>8
	}
	return c
}

// inode is the start of the checksums of an inode and of the blocks that belong to it. The generation of every inode here is 0.
func (c checksum) inode(number uint32) checksum {
	return c.over32(number).over32(0)
}
