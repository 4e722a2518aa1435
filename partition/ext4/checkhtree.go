package ext4

import "fmt"

// checkIndex checks the index of a directory (kernel: "Hash Tree Directories"), and records the range of hashes of each leaf.
func (c *dirCheck) checkIndex() {
	b, at := c.block(0)
	if b == nil {
		return
	}
	// After the records of "." and "..": four zero bytes, hash version, length of these fields, levels of nodes, flags (one byte each).
	info := b[2*dotSize : rootHeader]
	version, levels := info[4], int(info[6])
	bad := func(format string, args ...any) {
		c.inodeFault(c.number, at, "index root: %s", fmt.Sprintf(format, args...))
	}
	most := 1
	if c.features.has(largeDir) {
		most = 2
	}
	if le.Uint32(info) != 0 || info[5] != rootInfoSize || info[7] != 0 || levels > most || version > hashSip {
		bad("hash version %d, %d bytes of information, %d levels of nodes, flags %d", version, info[5], levels, info[7])
		return
	}
	unsigned := c.super.Flags&unsignedHash != 0
	if version >= hashSigned && version < hashSip {
		version, unsigned = version-hashSigned, true
	}
	c.hasher = nameHasher{c.frame.hasher, version, unsigned, c.inode.Flags&casefoldFlag != 0}
	c.leaves, c.nodes = map[int64]hashRange{}, map[int64]bool{0: true}
	c.checkNode(b, rootHeader, levels, hashRange{0, 1 << 32}, bad)
}

// checkNode checks the entries of a root or node, below which all names have hashes in a range. levels is the number of levels of nodes below.
//
// An entry is the first hash of the names below it (4 bytes) and a block of the directory (4). The first entry has no hash, since the node
// above has it; in its place are the limit (2) and the count (2) of entries. Two entries may have the same hash: an odd one means that names
// with the hash before it begin in the previous block.
func (c *dirCheck) checkNode(b []byte, header int64, levels int, within hashRange, bad func(string, ...any)) {
	limit, count := int64(le.Uint16(b[header:])), int64(le.Uint16(b[header+2:]))
	if limit != c.indexLimit(header) || count < 1 || count > limit {
		bad("%d of %d entries, the limit should be %d", count, limit, c.indexLimit(header))
		return
	}
	if c.features.has(metadataCsum) {
		tail := b[header+limit*indexEntry:]
		// The checksum covers the entries in use, then the first half of the tail (reserved), then zeros in its own place.
		sum := c.sum.over(b[:header+count*indexEntry]).over(tail[:4]).over(make([]byte, 4))
		if has := le.Uint32(tail[4:]); has != uint32(sum) {
			bad("checksum 0x%08x does not match its bytes, which have 0x%08x", has, uint32(sum))
		}
	}
	lo := within.lo
	for i := range count {
		e := b[header+i*indexEntry:]
		if i > 0 {
			lo = le.Uint32(e)
		}
		hi := within.hi
		if i+1 < count {
			hi = int64(le.Uint32(e[indexEntry:]))
		}
		if int64(lo) > hi || lo < within.lo || hi > within.hi {
			bad("entry %d is for hashes from 0x%08x to 0x%08x, the node for 0x%08x to 0x%08x", i, lo, hi, within.lo, within.hi)
		}
		c.checkBelow(int64(le.Uint32(e[4:])), levels, hashRange{lo, hi}, bad)
	}
}

// checkBelow checks the block of the directory that an entry leads to.
func (c *dirCheck) checkBelow(i int64, levels int, hashes hashRange, bad func(string, ...any)) {
	_, twice := c.leaves[i]
	switch {
	case i >= c.blocks:
		bad("an entry leads to block %d of %d", i, c.blocks)
		return
	case twice || c.nodes[i]:
		bad("two entries lead to block %d", i)
		return
	case levels == 0:
		c.leaves[i] = hashes
		return
	}
	c.nodes[i] = true
	b, at := c.block(i)
	if b == nil {
		return
	}
	badNode := func(format string, args ...any) {
		c.inodeFault(c.number, at, "index node in directory block %d: %s", i, fmt.Sprintf(format, args...))
	}
	if le.Uint32(b) != 0 || int64(c.recordLength(le.Uint16(b[4:]))) != c.blockSize || b[6]|b[7] != 0 {
		badNode("does not begin with one unused record")
	}
	c.checkNode(b, nodeHeader, levels-1, hashes, badNode)
}

// checkHash checks that a name is in the leaf for its hash.
func (c *dirCheck) checkHash(name string, within hashRange, bad func(string, ...any)) {
	h, ok := c.hasher.hash(name)
	if ok && (h < within.lo&^1 || int64(h) >= within.hi) {
		bad("name %.300q has hash 0x%08x, the block is for 0x%08x to 0x%08x", name, h, within.lo, within.hi)
	}
}
