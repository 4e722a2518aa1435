// Package cpio writes archives that Linux unpacks as an initial root file system: cpio in the format "newc" (Linux,
// Documentation/driver-api/early-userspace/buffer-format.rst).
package cpio

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// Limits of the format and of Linux (init/initramfs.c), in bytes.
const (
	maxFile = 1<<32 - 1
	maxPath = 4095 // of names and of targets of symlinks; Linux silently skips longer ones
	maxTime = 1<<32 - 1
)

// trailer is the name of the member that ends an archive.
const trailer = "TRAILER!!!"

// A Writer writes an archive.
type Writer struct {
	out    *bufio.Writer
	at     int64
	names  map[*tree.Node]int // further names of inodes
	inodes map[*tree.Node]int // numbers of inodes with further names
	last   int                // number of an inode
}

// NewWriter returns a Writer of the archive of a tree. Its nodes must be added in the order of Walk.
func NewWriter(out io.Writer, t *tree.Tree) *Writer {
	w := &Writer{out: bufio.NewWriterSize(out, 256<<10), names: map[*tree.Node]int{}, inodes: map[*tree.Node]int{}}
	for n := range t.Nodes() {
		if n.Kind() == tree.Link {
			w.names[n.Inode()]++
		}
	}
	return w
}

var types = map[tree.Kind]int{
	tree.Fifo: 0o010000, tree.CharDevice: 0o020000, tree.Dir: 0o040000, tree.BlockDevice: 0o060000, tree.File: 0o100000, tree.Symlink: 0o120000,
	tree.Socket: 0o140000,
}

// Check returns an error with the path of a node that an archive cannot hold.
func Check(t *tree.Tree) error {
	for path, n := range t.Walk() {
		if err := check(path, n.Inode()); err != nil {
			return fmt.Errorf("%s: %v", tree.Shown(path), err)
		}
	}
	return nil
}

func check(path string, n *tree.Node) error {
	switch {
	case len(path) > maxPath:
		return fmt.Errorf("a path of %d bytes, Linux takes %d", len(path), maxPath)
	case path[1:] == trailer:
		return fmt.Errorf("the name is reserved for the end of an archive")
	case n.Kind() == tree.Symlink && (n.Target() == "" || len(n.Target()) > maxPath):
		return fmt.Errorf("a link target of %d bytes, Linux takes 1 to %d", len(n.Target()), maxPath)
	case n.Size() > maxFile:
		return fmt.Errorf("a file of %d bytes, an archive holds %d", n.Size(), int64(maxFile))
	case len(n.Attr.Xattrs) > 0:
		return fmt.Errorf("extended attribute %q, an archive has none", n.Attr.Xattrs[0].Name)
	case n.Attr.Mtime.Sec < 0 || n.Attr.Mtime.Sec > maxTime:
		return fmt.Errorf("time %d is not between 0 and %d seconds since 1970", n.Attr.Mtime.Sec, int64(maxTime))
	}
	return nil
}

// Add adds a node. content writes the content of a file. It is not called for further names of a file, which Linux links to the first.
func (w *Writer) Add(path string, n *tree.Node, content func(io.Writer) error) error {
	n = n.Inode()
	if err := check(path, n); err != nil {
		return fmt.Errorf("%s: %v", tree.Shown(path), err)
	}
	inode, further := w.inode(n)
	size := n.Size()
	if further {
		size = 0
	}
	if err := w.header(path, n, inode, size); err != nil || size == 0 {
		return err
	}
	if n.Kind() == tree.Symlink {
		return w.write(n.Target(), true)
	}
	before := w.at
	if err := content(contentWriter{w}); err != nil {
		return err
	}
	if w.at-before != size {
		return fmt.Errorf("%s: content of %d bytes, not %d: %w", tree.Shown(path), w.at-before, size, tree.ErrChanged)
	}
	return w.align()
}

// inode returns the number of an inode, and whether it was added under another name.
func (w *Writer) inode(n *tree.Node) (number int, further bool) {
	if number := w.inodes[n]; number != 0 {
		return number, true
	}
	w.last++
	if w.names[n] > 0 {
		w.inodes[n] = w.last
	}
	return w.last, false
}

// header writes the header of a member, and its name.
func (w *Writer) header(path string, n *tree.Node, inode int, size int64) error {
	links := 1 + w.names[n]
	if n.Kind() == tree.Dir {
		links = 2
	}
	name := path[1:]
	if path == "/" {
		name = "."
	}
	a, d := n.Attr, n.Device()
	return w.fields(name, inode, types[n.Kind()]|int(a.Mode), int(a.UID), int(a.GID), links, int(a.Mtime.Sec), int(size), 0, 0, int(d.Major), int(d.Minor))
}

// fields writes a header, 8 hexadecimal digits for each field: list, then the length of the name and an unused checksum; and the name.
func (w *Writer) fields(name string, list ...int) error {
	text := "070701"
	for _, n := range append(list, len(name)+1, 0) {
		text += fmt.Sprintf("%08X", n)
	}
	return w.write(text+name+"\x00", true)
}

// write writes a text, and with align NULs up to a multiple of 4 bytes.
func (w *Writer) write(text string, align bool) error {
	n, err := w.out.WriteString(text)
	w.at += int64(n)
	if err != nil || !align {
		return err
	}
	return w.align()
}

func (w *Writer) align() error {
	return w.write(strings.Repeat("\x00", int(units.Align(w.at, 4)-w.at)), false)
}

// A contentWriter writes the content of a member.
type contentWriter struct{ w *Writer }

// Write implements io.Writer.
func (c contentWriter) Write(p []byte) (int, error) {
	n, err := c.w.out.Write(p)
	c.w.at += int64(n)
	return n, err
}

// Close ends the archive.
func (w *Writer) Close() error {
	if err := w.fields(trailer, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0); err != nil {
		return err
	}
	return w.out.Flush()
}
