package erofs

import "sort"

// A canvas is a range of the file system's bytes that is being generated: b is at offset off. Structures are put on it whole, and those
// that cross an edge are clipped, so that a read may begin and end anywhere.
type canvas struct {
	b   []byte
	off int64
}

func (c canvas) end() int64 { return c.off + int64(len(c.b)) }

// put copies the part of p, which lies at offset at, that is on the canvas.
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

// read generates the structure in b, which is at offset off. The contents of files are left zero.
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

// makeSuper returns the superblock. Its checksum covers the first block, which holds inodes but no contents of files, and so is known
// without reading any.
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

// putInodes puts the entries on the canvas.
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

// putShared puts the shared attributes on the canvas.
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

// putDirs puts the blocks of directories on the canvas.
func (p *Plan) putDirs(c canvas) {
	first, end := p.blocksOn(c, p.dirsAt(), p.dirBlocks)
	for block := first; block < end; block++ {
		i := sort.Search(len(p.dirs), func(i int) bool { return int64(p.dirs[i].at) > block })
		d := &p.dirs[i-1]
		c.put((p.dirsAt()+block)*blockSize, p.dirBlock(d, block-int64(d.at)))
	}
}

// putTargets puts the targets of symlinks that have a block on the canvas.
func (p *Plan) putTargets(c canvas) {
	first, end := p.blocksOn(c, p.slowAt(), int64(len(p.slow)))
	for i := first; i < end; i++ {
		c.put((p.slowAt()+i)*blockSize, []byte(p.tree.Node(int(p.slow[i])).Target()))
	}
}

// blocksOn returns which of count blocks, the first of which is block at of the file system, are on the canvas.
func (p *Plan) blocksOn(c canvas, at, count int64) (first, end int64) {
	return max(0, c.off/blockSize-at), min(count, (c.end()+blockSize-1)/blockSize-at)
}
