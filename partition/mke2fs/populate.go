package mke2fs

import (
	"context"
	"fmt"
	"strconv"

	"imprint/internal/tree"
)

// File types in i_mode.
var modeOf = map[tree.Kind]uint16{
	tree.File: 0o100000, tree.Dir: 0o040000, tree.Symlink: 0o120000, tree.CharDevice: 0o020000, tree.BlockDevice: 0o060000,
	tree.Fifo: 0o010000, tree.Socket: 0o140000,
}

// A batch ends at one of these: one run of debugfs is fast, and neither its script nor its scratch files become large.
const (
	batchLines   = 50_000
	batchScratch = 64 << 20
)

// A populator writes the script that fills an empty file system. Inodes get numbers in the order in which they are made: libext2fs takes
// the first free one from the group of the parent directory on, and as none is ever freed that is the next one.
type populator struct {
	*Plan
	script
	run     func(context.Context, *script) error // gives a script to debugfs
	scratch *scratch
	number  []uint32 // of the inode, by node ID
	next    uint32
}

const (
	rootInode      = 2
	lostFoundInode = firstInode
)

// populate makes every inode and every name.
func (p *populator) populate(ctx context.Context) error {
	p.number, p.next = make([]uint32, p.tree.Len()), firstInode+1
	p.add("/", "ssv", "kbytes_written", "0") // it depends on what the host's file system can do; 0 is kept
	private := &tree.Attr{Mode: 0o700, Mtime: tree.Time{Sec: p.opts.Epoch}}
	p.attributes(inode{number: lostFoundInode, mode: modeOf[tree.Dir] | private.Mode, attr: private}, "/"+lostFound, p.opts.Epoch)
	p.sockets()
	root := p.tree.Root()
	p.number[root.ID()] = rootInode
	if err := p.finish(root, "/"); err != nil {
		return err
	}
	if err := p.fill(ctx, root, "/"); err != nil {
		return err
	}
	for path, n := range p.tree.Walk() {
		if n.Kind() == tree.Dir {
			p.link(n, path)
		}
		if err := p.flush(ctx, len(p.lines) >= batchLines); err != nil {
			return err
		}
	}
	return p.flush(ctx, true)
}

// sockets makes the sockets, of which debugfs knows nothing: fifos in lost+found that change their type and lose that name. They get
// their own by link.
func (p *populator) sockets() {
	for path, n := range p.tree.Walk() {
		if n.Kind() != tree.Socket {
			continue
		}
		number := p.allocate(n)
		p.in(lostFoundInode, path)
		p.addAllocating(number, path, "mknod", "socket", "p")
		p.set(number, path, "mode", fmt.Sprintf("0%o", modeOf[tree.Socket]))
		p.add(path, "unlink", "socket")
	}
}

func (p *populator) allocate(n *tree.Node) uint32 {
	p.number[n.ID()] = p.next
	p.next++
	return p.next - 1
}

// fill makes what is in a directory, but for the names that link adds.
func (p *populator) fill(ctx context.Context, dir *tree.Node, path string) error {
	for _, n := range dir.Children() {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if n.Kind() == tree.Link {
			continue
		}
		at := tree.Join(path, n.Name)
		err := p.create(ctx, dir, n, at)
		if err == nil {
			err = p.finish(n, at)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", tree.Shown(at), err)
		}
		if err := p.flush(ctx, len(p.lines) >= batchLines || p.scratch.bytes >= batchScratch); err != nil {
			return err
		}
		if err := p.fill(ctx, n, at); err != nil {
			return err
		}
	}
	return nil
}

// create makes one inode with its name.
func (p *populator) create(ctx context.Context, dir, n *tree.Node, path string) error {
	if path == "/"+lostFound {
		p.number[n.ID()] = lostFoundInode
		return nil
	}
	if n.Kind() == tree.Socket {
		return nil
	}
	number, name := p.allocate(n), quote(n.Name)
	p.in(p.number[dir.ID()], path)
	switch n.Kind() {
	case tree.File:
		source, err := p.scratch.source(ctx, n.Blob())
		if err != nil {
			return err
		}
		p.addAllocating(number, path, "write", quote(source), name)
	case tree.Dir:
		p.add(path, "mkdir", name)
	case tree.Symlink:
		p.add(path, "symlink", name, quote(n.Target()))
	case tree.Fifo:
		p.addAllocating(number, path, "mknod", name, "p")
	default:
		p.device(n, number, path)
	}
	return nil
}

// device makes a device node. mknod takes no minor number above 65535, so the number is set afterwards, as the kernel reads it: both
// parts in one byte each in the first word, or the new encoding in the second.
func (p *populator) device(n *tree.Node, number uint32, path string) {
	kind := map[tree.Kind]string{tree.CharDevice: "c", tree.BlockDevice: "b"}[n.Kind()]
	p.addAllocating(number, path, "mknod", quote(n.Name), kind, "0", "0")
	d := n.Device()
	old, extended := d.Major<<8|d.Minor, uint32(0)
	if d.Major > 0xff || d.Minor > 0xff {
		old, extended = 0, d.Minor&0xff|d.Major<<8|d.Minor&^0xff<<12
	}
	p.set(number, path, "block[0]", strconv.FormatUint(uint64(old), 10))
	p.set(number, path, "block[1]", strconv.FormatUint(uint64(extended), 10))
}

// finish sets the attributes of an inode that has been made.
func (p *populator) finish(n *tree.Node, path string) error {
	i := inode{number: p.number[n.ID()], mode: modeOf[n.Kind()] | n.Attr.Mode&0o7777, links: p.census.links[n.ID()], attr: n.Attr}
	if n.Kind() == tree.Dir {
		i.links = 0
	}
	p.attributes(i, path, p.opts.Epoch)
	for _, x := range n.Attr.Xattrs {
		value, err := p.scratch.text(x.Value)
		if err != nil {
			return err
		}
		p.add(path, "ea_set", "-f", quote(value), ref(i.number), quote(x.Name))
	}
	return nil
}

// link adds the further names of files, and those of sockets.
func (p *populator) link(dir *tree.Node, path string) {
	number := p.number[dir.ID()]
	for range linkRoom(dir) {
		p.add(path, "expand_dir", ref(number))
	}
	for _, n := range dir.Children() {
		if addedByLink(n) {
			p.in(number, path)
			p.add(tree.Join(path, n.Name), "ln", ref(p.number[n.Inode().ID()]), quote(n.Name))
		}
	}
}

// flush returns the script to debugfs and begins a new one, when it is due.
func (p *populator) flush(ctx context.Context, due bool) error {
	if !due || len(p.lines) == 0 {
		return nil
	}
	if err := p.run(ctx, &p.script); err != nil {
		return err
	}
	p.script = script{lines: p.lines[:0]}
	return p.scratch.clear()
}
