package ext4

// sections are the tape positions at which the kinds of content begin, in this order. The first block of the tape belongs to the resize
// inode.
type sections struct{ dirs, symlinks, xattrs, journal, files, end int64 }

// allocate puts everything on a geometry's tape and returns the positions of the sections; the tape may be too short. With settle it records
// the positions of files, which can be done only once, since the table of positions holds numbers of blocks until then.
func (c *inventory) allocate(g *geometry, settle bool) sections {
	k := &cursor{tape: g.tape}
	if c.features.has(resizeInode) {
		k.pass(1)
	}
	s := sections{dirs: k.at}
	for i := range c.dirs {
		d := &c.dirs[i]
		d.at = uint32(c.take(k, int64(d.blocks)))
	}
	s.symlinks = k.at
	k.pass(int64(len(c.slow)))
	s.xattrs = k.at
	k.pass(int64(len(c.xattrs.blocks)))
	s.journal = c.take(k, g.journal)
	s.files = k.at
	c.allocateFiles(k, settle)
	s.end = k.at
	return s
}

// take allocates one run of blocks, and those of its extent tree after it, and returns the position of the first.
func (c *inventory) take(k *cursor, blocks int64) (at int64) {
	at = k.at
	if extents := k.pass(blocks); extents > rootEntries {
		k.pass(c.treeBlocks(extents))
	}
	return at
}

// allocateFiles allocates the files in the order of the tree, so that reading the files of a directory reads the disk sequentially.
func (c *inventory) allocateFiles(k *cursor, settle bool) {
	sparse, before := c.sparse, c.at[0]
	for id := range c.tree.Len() {
		blocks := int64(c.at[id+1] - before)
		before = c.at[id+1]
		at := k.at
		if len(sparse) > 0 && int(sparse[0]) == id {
			c.takeSparse(k, int32(id))
			sparse = sparse[1:]
		} else {
			c.take(k, blocks)
		}
		if settle {
			c.at[id] = uint32(at)
		}
	}
	if settle {
		c.at[c.tree.Len()] = uint32(k.at)
	}
}

// takeSparse is take for a file of several runs.
func (c *inventory) takeSparse(k *cursor, id int32) {
	extents := int64(0)
	for _, r := range c.fileRuns(nil, c.tree.Node(int(id))) {
		extents += k.pass(r.blocks)
	}
	k.pass(c.treeBlocks(extents))
}
