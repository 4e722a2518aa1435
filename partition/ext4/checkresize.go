package ext4

import (
	"imprint/internal/tree"
)

// checkResize checks the resize inode: a double indirect block that lists the reserved descriptor blocks of the first copy, each of which lists
// the corresponding blocks of the other copies (resize.go).
func (c *inodeCheck) checkResize() {
	if kind, ok := c.kind(); !ok || kind != tree.File || c.LinksCount != 1 {
		c.fault("mode %#o and %d links, those of a file are expected", c.Mode, c.LinksCount)
	}
	const double = 4 * (directBlocks + 1)
	top := int64(le.Uint32(c.Block[double:]))
	if !zeroBytes(c.Block[:double]) || !zeroBytes(c.Block[double+4:]) || top == 0 {
		c.fault("has other blocks than a double indirect one")
		return
	}
	b := c.mapBlock(top, 2)
	if b == nil {
		return
	}
	used, reserved := c.oldDescs()
	copies := int64(0)
	p := c.frame.pointers()
	for i := range p {
		want := int64(0)
		if k := (i - used%p + p) % p; k < reserved {
			want = c.superBlock(0) + 1 + used + k
			copies = c.checkReservedDesc(want, used+k+1)
			c.clusters += 1 + copies
		}
		if got := int64(le.Uint32(b[4*i:])); got != want {
			c.inodeFault(c.number, top*c.blockSize+4*i, "pointer %d of the double indirect block is %d, %d is expected", i, got, want)
		}
	}
	c.checkSectors()
}

// checkReservedDesc checks that a reserved descriptor block of the first copy, n blocks after the superblock, lists those of all other copies,
// and returns their number.
func (c *inodeCheck) checkReservedDesc(block, n int64) (copies int64) {
	b, err := c.readBlock(block)
	if err != nil {
		c.fault("reserved descriptor block: %v", err)
		return 0
	}
	for group := range c.frame.copies() {
		if 4*copies == c.blockSize {
			break
		}
		if got, want := int64(le.Uint32(b[4*copies:])), c.superBlock(group)+n; got != want {
			c.inodeFault(c.number, block*c.blockSize+4*copies, "pointer %d of reserved descriptor block %d is %d, %d is expected", copies, block, got, want)
		}
		copies++
	}
	if !zeroBytes(b[4*copies:]) {
		c.inodeFault(c.number, block*c.blockSize+4*copies, "reserved descriptor block %d lists more than the %d other copies", block, copies)
	}
	return copies
}
