package ext4

import "imprint/internal/tree"

// The resize inode (kernel: "Special inodes", number 7) owns the blocks that are reserved after each copy of the group descriptors, so
// that the file system can grow while it is mounted. Its double indirect block lists the reserved blocks of the first copy; each of those
// serves as an indirect block that lists the corresponding blocks of all other copies.

// resizeFile returns the resize inode. Its size covers everything that a double indirect block can map, as with mke2fs.
func (p *Plan) resizeFile() inode {
	n := newInode(modeTypes[tree.File]|0o600, tree.Time{Sec: p.options.Epoch})
	const directBlocks, doubleIndirect = 12, 13
	n.setSize((p.pointers()*p.pointers() + p.pointers() + directBlocks) * p.blockSize)
	n.addBlocks(1+p.g.reservedDesc*int64(len(p.g.copies)), p.format)
	block, _ := p.g.tape.physical(0)
	le.PutUint32(n.Block[4*doubleIndirect:], uint32(block))
	return n
}

// putResizeMap writes the double indirect block.
func (p *Plan) putResizeMap(b []byte) {
	for i := range p.g.reservedDesc {
		block := p.g.descBlocks + i
		le.PutUint32(b[block%p.pointers()*4:], uint32(p.g.firstBlock()+1+block))
	}
}

// putReservedDesc writes the reserved block of the first copy that is n blocks after the superblock.
func (p *Plan) putReservedDesc(b []byte, n int64) {
	for i, group := range p.g.copies[1:] {
		le.PutUint32(b[4*i:], uint32(p.g.groupStart(group)+n))
	}
}
