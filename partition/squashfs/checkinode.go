package squashfs

import (
	"fmt"

	"imprint/internal/fault"
	"imprint/internal/tree"
)

// where returns the offset of the metadata block of an inode.
func (a *audit) where(n *audited) int64 { return a.inodes.place(n.ref).at }

// visit checks the inode at a reference, unless it was visited before, and returns it; nil if it cannot be read. in is its directory, nil for the root.
func (a *audit) visit(name string, ref uint64, in *audited) *audited {
	if n, ok := a.found[ref]; ok {
		return n
	}
	n := &audited{ref: ref, in: in, name: name}
	if in == nil {
		n.in = n
	} else {
		n.depth = in.depth + 1
	}
	var err error
	if n.inode, err = a.inode(ref); err == nil {
		_, err = a.attr(n.inode)
	}
	if err != nil {
		a.failed(a.inodes.place(ref).at, n, "inode", err)
		return nil
	}
	a.found[ref] = n
	a.number(n)
	switch n.kind {
	case tree.Dir:
		a.indexOf(n)
		a.queue = append(a.queue, n)
	case tree.File:
		a.file(n)
	}
	return n
}

// number checks that no other inode has the number.
func (a *audit) number(n *audited) {
	object := fmt.Sprintf("inode %d", n.inode.number)
	switch other := a.numbers[n.inode.number]; {
	case n.inode.number == 0 || n.inode.number > a.super.Inodes:
		a.fault(a.where(n), n, object, fmt.Sprintf("there are inodes 1 to %d", a.super.Inodes))
	case other != nil:
		a.fault(a.where(n), n, object, "has the number of "+tree.Shown(a.path(other)))
	}
	a.numbers[n.inode.number] = n
}

// directory checks the entries of a directory, and visits what they lead to.
func (a *audit) directory(n *audited) {
	if n.depth > maxDepth {
		a.fault(a.where(n), n, "directory", fmt.Sprintf("more than %d directories are nested", maxDepth))
		return
	}
	last := ""
	err := a.eachEntry(n.listing, func(e entry) error {
		if err := e.check(last); err != nil {
			a.fault(e.at.at, n, "directory", err.Error())
		}
		last = e.name
		kid := a.visit(e.name, e.ref, n)
		if kid == nil {
			return nil
		}
		if kid.names++; kid.kind == tree.Dir {
			n.subdirs++
		}
		a.entry(n, kid, e)
		return nil
	})
	if err != nil {
		a.failed(a.dirs.from+int64(n.listing.block), n, "directory", err)
	}
}

// entry checks what an entry says of its inode.
func (a *audit) entry(n, kid *audited, e entry) {
	if e.code != kid.code {
		a.fault(e.at.at, n, "directory", fmt.Sprintf("%q: %s", e.name, fault.Mismatch("type", e.code, kid.code)))
	}
	if e.number != kid.inode.number {
		a.fault(e.at.at, n, "directory", fmt.Sprintf("%q: %s", e.name, fault.Mismatch("number of the inode", e.number, kid.inode.number)))
	}
	if kid.kind == tree.Dir && kid.names == 1 && kid.parent != n.inode.number {
		a.fault(a.where(kid), kid, "inode", fault.Mismatch("number of the parent", kid.parent, n.inode.number))
	}
}

// indexOf checks the index of a directory, by which Linux finds where to look for a name (struct squashfs_dir_index).
func (a *audit) indexOf(n *audited) {
	const header = 12
	if n.index == 0 {
		return
	}
	p := a.inodes.place(n.ref)
	c := a.cursor(&a.inodes, p)
	c.counted = false
	if _, err := c.bytes(extendedDir); err != nil {
		a.failed(p.at, n, "inode", err)
		return
	}
	c.counted = true // from here on: the inode itself counts already
	for i := range n.index {
		b, err := c.bytes(header)
		if err == nil {
			_, err = c.bytes(int(min(le.Uint32(b[8:]), maxName)) + 1)
		}
		if err != nil {
			a.failed(p.at, n, "inode", err)
			return
		}
		if at, block := le.Uint32(b), le.Uint32(b[4:]); int64(at) >= n.listing.size || int64(block) >= a.dirs.to-a.dirs.from {
			a.fault(c.at.at, n, fmt.Sprintf("entry %d of the index", i), fmt.Sprintf("leads to byte %d of %d, in the block %d bytes into the table", at, n.listing.size, block))
		}
	}
}

// file checks where the content of a file is.
func (a *audit) file(n *audited) {
	if err := a.checkFile(n.inode); err != nil {
		a.fault(a.where(n), n, "inode", err.Error())
		return
	}
	list, holes := (&stored{reader: a.reader, n: n.inode}).list(), int64(0)
	list.count = true
	for i := range n.blockCount(a.blockSize) {
		b, err := list.block(i)
		if err != nil {
			a.failed(a.where(n), n, "inode", err)
			return
		}
		if b.stored == 0 {
			holes += b.size
			continue
		}
		if !a.block(n, i, b) {
			return
		}
	}
	a.sparse(n, holes)
}

// sparse checks the number of bytes in holes, which is one less for a file that is only a hole, or 0 in an inode that does not have it.
func (a *audit) sparse(n *audited, holes int64) {
	if holes == n.size && holes > 0 {
		holes--
	}
	if n.extended && int64(n.inode.sparse) != holes {
		a.fault(a.where(n), n, "inode", fault.Mismatch("the number of bytes in holes", n.inode.sparse, holes))
	}
}

// block notes a block of a file. Files with equal blocks may share them.
func (a *audit) block(n *audited, i int64, b packedBlock) bool {
	size := int64(b.stored &^ plainBlock)
	if b.at < superSize || b.at > a.inodes.from-size {
		a.fault(b.at, n, fmt.Sprintf("block %d", i), fmt.Sprintf("%d bytes at %d are not between superblock and inodes", size, b.at))
		return false
	}
	if same, known := a.packed[b.at]; known && same == b.stored {
		return true
	}
	a.packed[b.at] = b.stored
	a.spans.Add(b.at, size, piece{use: blockUse, of: n, from: i * a.blockSize, size: b.size, plain: b.stored&plainBlock != 0})
	return true
}

// links checks the numbers of links.
func (a *audit) links() {
	if a.full {
		return
	}
	for _, n := range a.inOrder() {
		want := n.names
		if n.kind == tree.Dir {
			want = 2 + n.subdirs
			if n.names > 1 {
				a.fault(a.where(n), n, "directory", fmt.Sprintf("has %d names", n.names))
			}
		}
		if n.inode.links != want && n.hasLinks() {
			a.fault(a.where(n), n, "inode", fault.Mismatch("number of links", n.inode.links, want))
		}
	}
}

// hasLinks reports whether the form of the inode has a number of links.
func (n *audited) hasLinks() bool { return n.kind != tree.File || n.extended || n.names > 1 }
