package ext4

import (
	"fmt"
	"maps"
	"slices"
)

// checkXattrs checks the extended attributes of an inode: those in it, and those in its block, which other inodes may share, the first time.
func (c *inodeCheck) checkXattrs() {
	if body := c.bodyXattrs(c.b); body != nil {
		base := c.at + c.inodeBytes - int64(len(body))
		c.checkEntries(body, 0, true, func(format string, args ...any) { c.inodeFault(c.number, base, format, args...) })
	}
	block := c.xattrBlock()
	if block == 0 {
		return
	}
	if !c.features.has(extAttr) {
		c.fault("block %d of extended attributes without ext_attr", block)
	}
	if err := c.checkBlocks(block, 1); err != nil {
		c.fault("extended attributes: %v", err)
		return
	}
	c.clusters++
	if refs := c.xattrRefs[block]; refs != nil {
		refs.found++
		c.clusters += c.sharedValues(block)
		return
	}
	refs := &xattrRefs{found: 1}
	c.xattrRefs[block] = refs
	if c.claim(claim{block, 1, xattrClaim, int64(c.number), 0}, c.fault) {
		c.checkXattrBlock(block, refs)
	} else {
		delete(c.xattrRefs, block)
	}
}

// checkXattrBlock checks a block of attributes.
func (c *inodeCheck) checkXattrBlock(block int64, refs *xattrRefs) {
	at := block * c.blockSize
	bad := func(format string, args ...any) {
		c.inodeFault(c.number, at, "block of extended attributes: %s", fmt.Sprintf(format, args...))
	}
	b, err := c.readBlock(block)
	if err != nil {
		bad("%v", err)
		return
	}
	refs.said = le.Uint32(b[4:])
	if magic := le.Uint32(b); magic != xattrMagic {
		bad("magic number 0x%08x, 0x%08x is expected", magic, uint32(xattrMagic))
		refs.said = refs.found
		return
	}
	// The header: magic number, references, blocks, hash of all entries, checksum (4 bytes each), 12 reserved bytes. The hash, which the checksum
	// covers, only serves to find equal blocks, and some writers leave it 0.
	if blocks := le.Uint32(b[8:]); blocks != 1 || !zeroBytes(b[20:xattrHeader]) {
		bad("h_blocks is %d, 1 is expected, and the reserved bytes after it are zero", blocks)
	}
	if c.features.has(metadataCsum) {
		sum := c.seed.over(le.AppendUint64(nil, uint64(block))).over(b[:16]).over(make([]byte, 4)).over(b[20:])
		if has := le.Uint32(b[16:]); has != uint32(sum) {
			bad("checksum 0x%08x does not match its bytes, which have 0x%08x", has, uint32(sum))
		}
	}
	c.checkEntries(b, xattrHeader, false, bad)
}

// checkEntries checks that names and values do not overlap, and the hashes and values of attributes.
func (c *inodeCheck) checkEntries(b []byte, at int, inInode bool, bad func(string, ...any)) {
	all, err := parseXattrs(b, at)
	if err != nil {
		bad("%v", err)
	}
	end := at
	for _, x := range all {
		end = x.at + int(x.entrySize())
	}
	// The entries and the four zero bytes after them are marked first; no value may lie in them or in another value.
	var used bitset
	used.set(0, int64(min(end+xattrEnd, len(b))))
	for _, x := range all {
		if n := int64(len(x.value)); n > 0 {
			if _, twice := used.set(int64(x.valueAt), n); twice {
				bad("the value of extended attribute %q lies in other ones", x.name)
			}
		}
		c.checkXattr(x, inInode, bad)
	}
}

// checkXattr checks a single attribute. The value of one in another inode has no hash here: checkSharing checks how often that inode is used.
func (c *inodeCheck) checkXattr(x rawXattr, inInode bool, bad func(string, ...any)) {
	if x.valueInode != 0 {
		c.clusters += c.valueClusters(x)
		c.valueRefs[x.valueInode]++
		if int64(x.valueInode) > c.frame.inodes() || !c.features.has(eaInode) {
			bad("the value of extended attribute %q is in inode %d", x.name, x.valueInode)
		}
		return
	}
	if _, err := x.fullName(); err != nil && x.index != encryptionIndex {
		bad("%v", err)
	}
	if x.index == 2 || x.index == 3 {
		if _, err := loadedACL(x.value); err != nil {
			bad("%v", err)
		}
	}
	// In an inode the hash is 0 unless the kernel moved the attribute there from a block.
	if want := x.xattr.hash(); x.hash != want && x.hash != x.signedHash() && !(x.hash == 0 && inInode) {
		bad("extended attribute %q has hash 0x%08x, its name and value have 0x%08x", x.name, x.hash, want)
	}
}

// signedHash is hash with the bytes of the name as signed numbers, as some kernels compute it.
func (x xattr) signedHash() (h uint32) {
	for _, c := range []byte(x.name) {
		h = h<<5 ^ h>>27 ^ uint32(int32(int8(c)))
	}
	return xattr{value: x.value}.hashOn(h)
}

// valueClusters returns what a value in an inode of its own counts for i_blocks, in clusters.
func (c *inodeCheck) valueClusters(x rawXattr) int64 {
	return (c.blocksOf(int64(x.size)) + c.ratio - 1) / c.ratio
}

// sharedValues returns what the values of a block that has been checked count for i_blocks, in clusters.
func (c *inodeCheck) sharedValues(block int64) (clusters int64) {
	if !c.features.has(eaInode) {
		return 0
	}
	b, err := c.readBlock(block)
	if err != nil {
		return 0
	}
	all, _ := parseXattrs(b, xattrHeader)
	for _, x := range all {
		if x.valueInode != 0 {
			clusters += c.valueClusters(x)
		}
	}
	return clusters
}

// checkSharing compares the counts of blocks of attributes, and of inodes that hold values, with the inodes that use them.
func (c *checker) checkSharing() {
	for _, block := range slices.Sorted(maps.Keys(c.xattrRefs)) {
		refs := c.xattrRefs[block]
		if refs.said != refs.found {
			c.mismatch(block*c.blockSize, fmt.Sprintf("block %d of extended attributes", block), "h_refcount", refs.said, refs.found)
		}
	}
	for _, number := range slices.Sorted(maps.Keys(c.valueRefs)) {
		found := c.valueRefs[number]
		s := c.states.find(int64(number))
		if s == nil || s.marks&valueMark == 0 {
			c.inodeFault(number, -1, "holds the value of an extended attribute, and is not in use for that")
			continue
		}
		if n, _, err := c.inode(c.w, number); err == nil {
			if said := uint64(n.Version) | uint64(n.Ctime)<<32; said != found { // i_version and i_ctime hold the count
				c.inodeFault(number, -1, "reference count of the attribute value is %d, %d is expected", said, found)
			}
		}
	}
}
