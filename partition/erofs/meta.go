package erofs

import "sort"

// A canvas is the bytes of the file system from an offset on, to be filled.
type canvas struct {
	b   []byte
	off int64
}

func (c canvas) end() int64 { return c.off + int64(len(c.b)) }

// put copies the part of p, whose place is at, that lies on the canvas.
func (c canvas) put(at int64, p []byte) {
	if skip := c.off - at; skip > 0 {
		if skip >= int64(len(p)) {
			return
		}
		p, at = p[skip:], c.off
	}
	if at < c.end() {
		copy(c.b[at-c.off:], p)
	}
}

// read makes the bytes of the structures from an offset on. The contents of files between them are left zero.
func (p *Plan) read(b []byte, off int64) {
	clear(b)
	c := canvas{b, off}
	if off < superOffset+superSize {
		super := p.super()
		c.put(superOffset, super[:])
	}
	p.putInodes(c)
	p.putShared(c)
	p.putDirs(c)
	p.putTargets(c)
}

// makeSuper makes the superblock. Its checksum covers the inodes in the first block, among which are no contents of files.
func (p *Plan) makeSuper() (super [superSize]byte) {
	s := superblock{
		compat: compatChecksum | compatMtime, blockBits: blockBits, root: uint16(p.nids[0]), inodes: uint64(len(p.order)),
		blocks: uint32(p.end()), xattrBlock: uint32(p.xattrsAt()), uuid: p.options.UUID, label: p.options.Label,
	}
	s.made.Sec = p.options.Epoch
	block := make([]byte, blockSize)
	p.putInodes(canvas{block, 0})
	s.put(block[superOffset:])
	s.checksum = superChecksum(block)
	s.put(super[:])
	return super
}

// putInodes puts the entries that lie on the canvas.
func (p *Plan) putInodes(c canvas) {
	if c.off >= p.xattrsAt()*blockSize && c.end() <= p.tailsAt()*blockSize || c.off >= p.filesAt()*blockSize {
		return
	}
	i := sort.Search(len(p.order), func(i int) bool { return p.place(p.order[i]) > c.off })
	var buf []byte
	for i = max(0, i-1); i < len(p.order) && p.place(p.order[i]) < c.end(); i++ {
		buf = p.appendEntry(buf[:0], p.order[i])
		c.put(p.place(p.order[i]), buf)
	}
}

// putShared puts the shared attributes.
func (p *Plan) putShared(c canvas) {
	at := p.xattrsAt() * blockSize
	if c.end() <= at || c.off >= at+p.xattrs.bytes {
		return
	}
	for _, x := range p.xattrs.area {
		if at+xattrSize(x) > c.off && at < c.end() {
			c.put(at, appendXattr(nil, x))
		}
		at += xattrSize(x)
	}
}

// putDirs puts the blocks of directories.
func (p *Plan) putDirs(c canvas) {
	first, end := p.blocksOn(c, p.dirsAt(), p.dirBlocks)
	for block := first; block < end; block++ {
		i := sort.Search(len(p.dirs), func(i int) bool { return int64(p.dirs[i].at) > block })
		d := &p.dirs[i-1]
		c.put((p.dirsAt()+block)*blockSize, p.dirBlock(d, block-int64(d.at)))
	}
}

// putTargets puts the symlinks that have a block.
func (p *Plan) putTargets(c canvas) {
	first, end := p.blocksOn(c, p.slowAt(), int64(len(p.slow)))
	for i := first; i < end; i++ {
		c.put((p.slowAt()+i)*blockSize, []byte(p.tree.Node(int(p.slow[i])).Target()))
	}
}

// blocksOn gives the blocks, out of count that begin at a block, that lie on the canvas, counted from the first of them.
func (p *Plan) blocksOn(c canvas, at, count int64) (first, end int64) {
	return max(0, c.off/blockSize-at), min(count, (c.end()+blockSize-1)/blockSize-at)
}
