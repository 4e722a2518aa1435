package ext4

import "imprint/internal/tree"

// putInode writes an entry of an inode table into 256 bytes of zeros. Unused reserved inodes stay zero.
func (p *Plan) putInode(b []byte, number uint32) {
	var n inode
	switch {
	case number == rootInode:
		n = p.nodeInode(b, 0)
	case number == lostFoundInode:
		n = p.nodeInode(b, p.lost)
	case number >= firstInode:
		if p.nodes[number-firstInode] == freeInode {
			return
		}
		n = p.nodeInode(b, p.nodes[number-firstInode])
	case number == journalInode && p.g.journal > 0:
		n = p.journalFile()
	case number == resizeInodeNr && p.features.has(resizeInode):
		n = p.resizeFile()
	default:
		return
	}
	n.put(b, p.format, p.sum.inode(number))
}

// nodeInode returns the inode of a node. It writes the extended attributes that fit into the inode to b.
func (p *Plan) nodeInode(b []byte, id int32) inode {
	node := p.node(id)
	a := node.Attr
	n := newInode(modeTypes[node.Kind()]|a.Mode, a.Mtime)
	n.setOwner(a.UID, a.GID)
	n.setSize(node.Size())
	if len(p.furtherOf) > 0 {
		n.LinksCount += uint16(p.furtherOf[id])
	}
	switch node.Kind() {
	case tree.Dir:
		p.dirInode(&n, id)
	case tree.File:
		var buf [rootEntries]mapping
		t, blocks := p.fileTree(buf[:0], node)
		p.mapTree(&n, &t, blocks)
	case tree.Symlink:
		p.symlinkInode(&n, node, id)
	case tree.CharDevice, tree.BlockDevice:
		n.setDevice(node.Device())
	}
	if len(a.Xattrs) > 0 {
		putXattrsInInode(b, p.xattrs.of[a].inode)
		if i, ok := p.xattrs.block(id); ok {
			block, _ := p.g.tape.physical(int64(p.xattrAt[i]))
			n.setXattrs(block)
			n.addBlocks(1, p.format)
		}
	}
	return n
}

// dirInode sets the fields of a directory.
func (p *Plan) dirInode(n *inode, id int32) {
	d := p.dir(id)
	n.LinksCount = d.dirLinks()
	n.setSize(int64(d.blocks) * p.blockSize)
	p.mapInode(n, []run{{0, int64(d.blocks)}}, int64(d.at))
	if d.indexed() {
		n.Flags |= indexFlag
	}
}

// symlinkInode puts the target of a symlink into the inode if it fits, else maps the block that has it.
func (p *Plan) symlinkInode(n *inode, node *tree.Node, id int32) {
	if len(node.Target()) < fastSymlink {
		copy(n.Block[:], node.Target())
		return
	}
	p.mapInode(n, []run{{0, 1}}, int64(p.slowAt[p.slowOrdinal(id)]))
}

// mapInode sets the extents of an inode: those of runs from a tape position on, followed by the blocks of the extent tree.
func (p *Plan) mapInode(n *inode, runs []run, at int64) {
	var buf [rootEntries]mapping
	t := p.extentTree(buf[:0], runs, at)
	p.mapTree(n, &t, t.at-at)
}

// mapTree sets the extents of an inode with that number of blocks besides those of the tree.
func (p *Plan) mapTree(n *inode, t *extentTree, blocks int64) {
	t.root(n.Block[:])
	n.Flags |= extentsFlag
	n.addBlocks(blocks+p.treeBlocks(int64(len(t.extents))), p.format)
}

// extentTree returns the tree over the extents of runs from a tape position on. The extents are appended to dst, which saves allocations.
func (p *Plan) extentTree(dst []mapping, runs []run, at int64) extentTree {
	t := extentTree{format: p.format, tape: p.g.tape, at: at}
	for _, r := range runs {
		t.at += r.blocks
	}
	t.extents = p.g.tape.mappings(dst, runs, at)
	return t
}
