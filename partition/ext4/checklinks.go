package ext4

import "imprint/internal/tree"

// checkLinks compares link counts with names, and finds inodes that no name leads to.
func (c *checker) checkLinks() {
	for _, number := range c.inUse {
		s := *c.states.get(int64(number))
		switch {
		case s.marks&valueMark != 0:
			if c.valueRefs[number] == 0 {
				c.inodeFault(number, -1, "holds the value of an attribute that no inode has")
			}
		case s.marks&hiddenMark != 0 || number == rootInode && s.kind != entryTypes[tree.Dir]:
		case s.kind == entryTypes[tree.Dir]:
			c.checkDirLinks(number, s)
		case s.names == 0:
			c.inodeFault(number, -1, "is in use, and no name leads to it")
		case uint32(s.links) != s.names:
			c.inodeFault(number, -1, "i_links_count is %d, %d is expected", s.links, s.names)
		}
	}
	if s := c.states.find(rootInode); s == nil || s.kind != entryTypes[tree.Dir] {
		c.inodeFault(rootInode, -1, "the root is not a directory")
	}
}

// checkDirLinks checks a directory's link count and its place in the tree.
func (c *checker) checkDirLinks(number uint32, s inodeState) {
	want := s.subs + 2 // its name, its ".", and the ".." of each subdirectory
	if c.features.has(dirNlink) && want > maxLinks {
		want = 1
	}
	if uint32(s.links) != want {
		c.inodeFault(number, -1, "i_links_count is %d, %d is expected", s.links, want)
	}
	parent := s.parent
	if number == rootInode {
		parent = rootInode
	}
	switch {
	case parent == 0:
		c.inodeFault(number, -1, "is a directory, and no name leads to it")
		return
	case s.dotdot != parent:
		c.inodeFault(number, -1, "\"..\" leads to inode %d, the directory is in inode %d", s.dotdot, parent)
	}
	if !c.rooted(number) {
		c.inodeFault(number, -1, "is a directory in itself: the root does not lead to it")
	}
}

// rooted reports whether a directory is below the root, or below one without a name, which is a fault of its own.
func (c *checker) rooted(number uint32) bool {
	// Every directory on the way up gets the mark of the result, so that all ways together take one step per directory.
	var below []uint32
	mark := uint8(rootedMark)
	for at := number; at != 0 && at != rootInode; {
		s := c.states.get(int64(at))
		if seen := s.marks & (rootedMark | loopMark); seen != 0 {
			mark = seen
			break
		}
		if below = append(below, at); len(below) > len(c.dirs) {
			mark = loopMark
			break
		}
		at = s.parent
	}
	for _, at := range below {
		c.states.get(int64(at)).marks |= mark
	}
	return mark == rootedMark
}
