package mke2fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"imprint/internal/tree"
)

// File types in i_mode.
var modeOf = map[tree.Kind]uint16{
	tree.File: 0o100000, tree.Dir: 0o040000, tree.Symlink: 0o120000, tree.CharDevice: 0o020000, tree.BlockDevice: 0o060000,
	tree.Fifo: 0o010000, tree.Socket: 0o140000,
}

// The limits of a batch. They are small enough that debugfs begins early and works while the next batch is prepared, and that the scratch
// files of two batches stay in the page cache.
const (
	batchLines   = 4_000
	batchScratch = 16 << 20 // bytes
)

// A populator writes the script that fills an empty file system. Inodes get numbers in the order in which they are made: libext2fs takes
// the first free one from the group of the parent directory on, and as none is ever freed that is the next one.
type populator struct {
	*Plan
	batch
	run     func(context.Context, *script) error // runs a script in debugfs
	scratch *scratch
	running *running // the batch that debugfs works on
	parent  []int32  // ID of the directory, by node ID
	number  []uint32 // of the inode, by node ID
	next    uint32   // number of the next inode
}

// A batch is a script and the scratch files that it names.
type batch struct {
	script
	files files
}

// A running batch is one that debugfs works on.
type running struct {
	batch
	ended chan error
}

const (
	rootInode      = 2
	lostFoundInode = firstInode
)

// begin makes everything that precedes the first node.
func (p *populator) begin() {
	p.parent, p.number, p.next = make([]int32, p.tree.Len()), make([]uint32, p.tree.Len()), firstInode+1
	for n := range p.tree.Nodes() {
		for _, c := range n.Children() {
			p.parent[c.ID()] = int32(n.ID())
		}
	}
	p.add("/", "ssv", "kbytes_written", "0") // it depends on what the host's file system can do; 0 is kept
	private := &tree.Attr{Mode: 0o700, Mtime: tree.Time{Sec: p.opts.Epoch}}
	p.attributes(fields{number: lostFoundInode, mode: modeOf[tree.Dir] | private.Mode, attr: private}, "/"+lostFound, p.opts.Epoch)
	p.sockets()
	p.number[p.tree.Root().ID()] = rootInode
}

// node makes a node, whose directory has been made, except for the names that link adds. content writes the content of a file.
func (p *populator) node(ctx context.Context, path string, n *tree.Node, content func(io.Writer) error) error {
	if n.Kind() == tree.Link {
		return nil
	}
	if n != p.tree.Root() {
		if err := p.create(n, path, content); err != nil {
			return err
		}
	}
	if err := p.finish(n, path); err != nil {
		return err
	}
	return p.flush(ctx, len(p.lines) >= batchLines || p.files.bytes >= batchScratch)
}

// end adds the names that need link, and waits for debugfs.
func (p *populator) end(ctx context.Context) error {
	for path, n := range p.tree.Walk() {
		if n.Kind() == tree.Dir {
			p.link(n, path)
		}
		if err := p.flush(ctx, len(p.lines) >= batchLines); err != nil {
			return err
		}
	}
	if err := p.flush(ctx, len(p.lines) > 0); err != nil {
		return err
	}
	return p.wait()
}

// sockets makes the sockets, which debugfs has no command for: it makes fifos in lost+found, changes their type and removes that name. Their
// own names come from link.
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

// create makes one inode with its name.
func (p *populator) create(n *tree.Node, path string, content func(io.Writer) error) error {
	if path == "/"+lostFound {
		p.number[n.ID()] = lostFoundInode
		return nil
	}
	if n.Kind() == tree.Socket {
		return nil
	}
	number, name := p.allocate(n), quote(n.Name)
	p.in(p.number[p.parent[n.ID()]], path)
	switch n.Kind() {
	case tree.File:
		source, err := p.scratch.file(&p.files, n.Size(), content)
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
	i := fields{number: p.number[n.ID()], mode: modeOf[n.Kind()] | n.Attr.Mode&0o7777, links: p.census.links[n.ID()], attr: n.Attr}
	if n.Kind() == tree.Dir {
		i.links = 0
	}
	p.attributes(i, path, p.opts.Epoch)
	for _, x := range n.Attr.Xattrs {
		value, err := p.scratch.text(&p.files, x.Value)
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

// flush hands the batch to debugfs, which works on it while the next one is prepared, when it is due.
func (p *populator) flush(ctx context.Context, due bool) error {
	if !due {
		return nil
	}
	if err := p.wait(); err != nil {
		return err
	}
	r := &running{p.batch, make(chan error, 1)}
	p.batch, p.running = batch{}, r
	go func() { r.ended <- p.run(ctx, &r.script) }()
	return nil
}

// wait waits for the batch that debugfs works on, frees its scratch files and returns its error.
func (p *populator) wait() error {
	r := p.running
	if r == nil {
		return nil
	}
	p.running = nil
	return errors.Join(<-r.ended, p.scratch.free(&r.files))
}
