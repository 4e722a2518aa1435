package ext4

import (
	"fmt"

	"imprint/internal/tree"
)

// A dirCheck is the check of one directory.
type dirCheck struct {
	*checker
	number uint32
	inode  inode
	sum    checksum // of the directory's inode
	m      *fileMap
	blocks int64
	hasher nameHasher
	leaves map[int64]hashRange // of an indexed directory, by block of the directory
	nodes  map[int64]bool      // its other blocks
	count  int                 // names so far
}

// A hashRange is the range [lo, hi) of the hashes of names in a leaf. If lo is odd, names with the hash before it may be there too.
type hashRange struct {
	lo uint32
	hi int64
}

// checkDir checks the names in a directory.
func (k *checker) checkDir(number uint32) {
	n, b, err := k.inode(k.w, number)
	if err != nil || n.Flags&encryptFlag != 0 { // encrypted names cannot be checked
		return
	}
	if k.states.get(int64(number)).marks&sharedMark != 0 {
		k.inodeFault(number, -1, "the names are not checked: the directory shares blocks")
		return
	}
	clear(k.names)
	c := &dirCheck{checker: k, number: number, inode: n, sum: k.inodeSum(number, &n)}
	if n.Flags&inlineFlag != 0 {
		c.checkInline(b)
		return
	}
	c.m = &fileMap{fs: &k.frame, root: n.Block, extents: n.Flags&extentsFlag != 0, read: k.readBlock}
	if c.blocks = int64(n.SizeLo) / c.blockSize; c.features.has(largeDir) {
		c.blocks = n.size() / c.blockSize
	}
	if n.Flags&indexFlag != 0 && c.blocks > 0 {
		c.checkIndex()
	}
	c.checkContents()
	if c.count < 2 && c.states.get(int64(number)).dotdot == 0 {
		c.inodeFault(number, -1, "directory without \".\" and \"..\"")
	}
}

// checkInline checks a directory whose records lie in the inode.
func (c *dirCheck) checkInline(b []byte) {
	c.states.get(int64(c.number)).dotdot = le.Uint32(c.inode.Block[:])
	rest, _ := c.inlineRest(b)
	for _, part := range [][]byte{c.inode.Block[4:], rest} {
		if err := c.eachDirent(part, func(d dirent) error { c.entry(d, -1); return nil }); err != nil {
			c.inodeFault(c.number, -1, "inline directory: %v", err)
		}
	}
}

// block reads block i of the directory; at is its offset in bytes.
func (c *dirCheck) block(i int64) (b []byte, at int64) {
	run, err := c.m.locate(i)
	if err == nil && run.physical == hole {
		err = fmt.Errorf("there is none")
	}
	if err == nil {
		at = run.physical * c.blockSize
		b, err = c.readBlock(run.physical)
	}
	if err != nil {
		c.inodeFault(c.number, -1, "directory block %d: %v", i, err)
		return nil, 0
	}
	return b, at
}

// checkContents checks all blocks. It ends at a block that cannot be read: the check of the map has reported that.
func (c *dirCheck) checkContents() {
	for i := range c.blocks {
		b, at := c.block(i)
		if b == nil {
			return
		}
		bad := func(format string, args ...any) {
			c.inodeFault(c.number, at, "directory block %d: %s", i, fmt.Sprintf(format, args...))
		}
		part := b
		if !c.nodes[i] {
			part = b[:c.dirRoom()]
			c.checkTail(b, bad)
		}
		hashes, isLeaf := c.leaves[i]
		if c.leaves != nil && !isLeaf && !c.nodes[i] {
			bad("is not in the directory's index")
		}
		err := c.eachDirent(part, func(d dirent) error {
			c.entry(d, at)
			if isLeaf && d.ino != 0 {
				c.checkHash(string(d.name), hashes, bad)
			}
			return nil
		})
		if err != nil {
			bad("%v", err)
		}
	}
}

// checkTail checks the record at the end of a block that holds its checksum.
func (c *dirCheck) checkTail(b []byte, bad func(string, ...any)) {
	room := c.dirRoom()
	if room == c.blockSize {
		return
	}
	tail := b[room:] // an unused record of 12 bytes, of a type that no file has, with the checksum in the place of a name
	if le.Uint32(tail) != 0 || le.Uint16(tail[4:]) != dirTail || tail[6] != 0 || tail[7] != dirTailType {
		bad("does not end with a record for the checksum")
		return
	}
	if has, want := le.Uint32(tail[8:]), uint32(c.sum.over(b[:room])); has != want {
		bad("checksum 0x%08x does not match its bytes, which have 0x%08x", has, want)
	}
}

// entry checks a name and the inode that it leads to.
func (c *dirCheck) entry(d dirent, at int64) {
	if d.ino == 0 {
		if c.count < 2 && at >= 0 {
			c.count = 2
			c.inodeFault(c.number, at, "directory does not begin with \".\" and \"..\"")
		}
		return
	}
	name := string(d.name)
	if at >= 0 {
		at += int64(d.at)
	}
	bad := func(format string, args ...any) {
		c.inodeFault(c.number, at, "name %.300q: %s", name, fmt.Sprintf(format, args...))
	}
	// Inline directories have no record for ".", and for ".." only a number.
	inline := c.inode.Flags&inlineFlag != 0
	if c.count++; !inline && c.count <= 2 {
		c.dot(d, name, bad)
		return
	}
	if err := tree.CheckName(name); err != nil {
		bad("%v", err)
		return
	}
	if c.names[name] {
		bad("is there twice")
	}
	c.names[name] = true
	c.target(d, bad)
}

// dot checks one of the first two names of a directory.
func (c *dirCheck) dot(d dirent, name string, bad func(string, ...any)) {
	want := "."
	if c.count == 2 {
		want = ".."
		c.states.get(int64(c.number)).dotdot = d.ino
	}
	switch {
	case name != want:
		bad("%q is expected", want)
	case len(d.rest) == 0 || d.rest[0] != 0:
		bad("is not followed by a NUL")
	case c.count == 1 && d.ino != c.number:
		bad("leads to inode %d", d.ino)
	case c.features.has(filetype) && d.kind != entryTypes[tree.Dir]:
		bad("type is %d, %d is expected", d.kind, entryTypes[tree.Dir])
	}
}

// target counts a name for the inode that it leads to.
func (c *dirCheck) target(d dirent, bad func(string, ...any)) {
	s := c.states.find(int64(d.ino))
	switch {
	case int64(d.ino) > c.frame.inodes() || int64(d.ino) < c.firstFree:
		bad("leads to inode %d, which is not within %d and %d", d.ino, c.firstFree, c.frame.inodes())
		return
	case s == nil || s.kind == 0:
		bad("leads to inode %d, which is not in use", d.ino)
		return
	case s.marks&(valueMark|hiddenMark) != 0:
		bad("leads to inode %d, which belongs to the file system itself", d.ino)
	}
	want := uint8(0)
	if c.features.has(filetype) {
		want = s.kind
	}
	if d.kind != want && s.kind != 0xff {
		bad("type is %d, %d is expected", d.kind, want)
	}
	s.names++
	if s.kind != entryTypes[tree.Dir] {
		return
	}
	c.states.get(int64(c.number)).subs++
	if s = c.states.get(int64(d.ino)); s.parent != 0 {
		bad("is a second name of directory %d", d.ino)
		return
	}
	s.parent = c.number
}
