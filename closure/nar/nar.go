// Package nar writes and reads the Nix archive format, over which store items are hashed, and reads and writes those hashes.
//
// In this format (section "Nix Archive" of the Nix manual; archive.cc, serialise.cc) every string is encoded as in package framed.
//
//	archive = "nix-archive-1" node
//	node    = "(" "type" ( "regular" [ "executable" "" ] "contents" BYTES
//	                     | "directory" { "entry" "(" "name" NAME "node" node ")" }   by the bytes of NAME
//	                     | "symlink" "target" TARGET ) ")"
package nar

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"sync"

	"imprint/internal/framed"
	"imprint/internal/sha256pair"
	"imprint/internal/tree"
)

// The framed words between names, targets and contents, encoded once.
var (
	magic        = words("nix-archive-1")
	openFile     = words("(", "type", "regular", "contents")
	openProgram  = words("(", "type", "regular", "executable", "", "contents")
	openSymlink  = words("(", "type", "symlink", "target")
	openDir      = words("(", "type", "directory")
	openEntry    = words("entry", "(", "name")
	beforeNode   = words("node")
	closeBracket = words(")")
)

func words(list ...string) string {
	var b []byte
	for _, s := range list {
		b = framed.AppendString(b, s)
	}
	return string(b)
}

var zeros [8]byte

// framedLen returns the number of bytes that a string of n bytes takes with its length and padding.
func framedLen(n int64) int64 { return 8 + (n+7)&^7 }

// Write writes n, which may be a directory, a file or a symlink, with everything below it as one archive. content is called for every
// regular file, and must write exactly its Size bytes to w; its errors are passed on. A Link is archived as the file it leads to; content is
// called with the Link, whose Inode has the blob. A file is executable when its owner may execute it; nothing else of the attributes is in
// an archive.
//
// Writes to w are buffered: each has 32 KiB or more, except the last.
func Write(w io.Writer, n *tree.Node, content func(w io.Writer, file *tree.Node) error) error {
	gather := gatherers.Get().(*bufio.Writer)
	defer gatherers.Put(gather)
	gather.Reset(w)
	a := &archive{to: w, w: gather, content: content}
	a.w.WriteString(magic)
	if err := a.node("", n); err != nil {
		return err
	}
	return a.w.Flush()
}

// Frame writes what the archive that [Write] makes has before, between and after the contents of files.
func Frame(w io.Writer, n *tree.Node) error { return Write(w, n, nil) }

var gatherers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 32<<10) }}

// An archive writes to to, through w, which keeps its first error until Flush.
type archive struct {
	to      io.Writer
	w       *bufio.Writer
	content func(io.Writer, *tree.Node) error // nil for none: see [Frame]
}

func (a *archive) node(path string, n *tree.Node) (err error) {
	switch inode := n.Inode(); inode.Kind() {
	case tree.File:
		err = a.file(path, n)
	case tree.Dir:
		err = a.dir(path, inode)
	case tree.Symlink:
		a.w.WriteString(openSymlink)
		a.string(inode.Target())
	default:
		return fmt.Errorf("archive %s: a %v cannot be in a store item", shown(path), inode.Kind())
	}
	a.w.WriteString(closeBracket)
	return err
}

func (a *archive) dir(path string, n *tree.Node) error {
	a.w.WriteString(openDir)
	kids := sorted(n.Children())
	for i, c := range kids {
		if err := tree.CheckName(c.Name); err != nil {
			return fmt.Errorf("archive %s: %v", shown(path), err)
		}
		if i > 0 && kids[i-1].Name == c.Name {
			return fmt.Errorf("archive %s: duplicate name %q", shown(path), c.Name)
		}
		a.w.WriteString(openEntry)
		a.string(c.Name)
		a.w.WriteString(beforeNode)
		if err := a.node(path+"/"+c.Name, c); err != nil {
			return err
		}
		a.w.WriteString(closeBracket)
	}
	return nil
}

// sorted returns nodes in the order of their names; in an unfinished tree they may have another order.
func sorted(kids []*tree.Node) []*tree.Node {
	byName := func(a, b *tree.Node) int { return cmp.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(kids, byName) {
		kids = slices.SortedFunc(slices.Values(kids), byName)
	}
	return kids
}

func (a *archive) file(path string, n *tree.Node) error {
	inode := n.Inode()
	size := inode.Size()
	a.w.WriteString(openingOf(inode))
	a.length(size)
	if a.content != nil {
		if err := a.body(path, n, size); err != nil {
			return err
		}
	}
	a.w.Write(zeros[:-size&7])
	return nil
}

// body writes the content of a file.
func (a *archive) body(path string, n *tree.Node, size int64) error {
	body := &body{a: a}
	if err := a.content(body.writer(), n); err != nil {
		return fmt.Errorf("archive %s: %w", shown(path), err)
	}
	if body.n != size {
		return fmt.Errorf("archive %s: its content has %d bytes, its size is %d", shown(path), body.n, size)
	}
	return nil
}

func openingOf(file *tree.Node) string {
	if file.Attr.Mode&0o100 != 0 {
		return openProgram
	}
	return openFile
}

func (a *archive) string(s string) {
	a.length(int64(len(s)))
	a.w.WriteString(s)
	a.w.Write(zeros[:-len(s)&7])
}

func (a *archive) length(n int64) {
	a.w.Write(framed.AppendNumber(a.w.AvailableBuffer(), uint64(n)))
}

// shown returns a path inside an item, for messages.
func shown(path string) string { return cmp.Or(path, "/") }

// A body is the content of a file on its way into an archive.
type body struct {
	a *archive
	n int64 // bytes written
}

// Write implements io.Writer.
func (b *body) Write(p []byte) (int, error) {
	n, err := b.a.w.Write(p)
	b.n += int64(n)
	return n, err
}

// writer returns a writer to the archive, a [sha256pair.Writer] if the archive is written to one.
func (b *body) writer() io.Writer {
	if pair, ok := b.a.to.(sha256pair.Writer); ok {
		return pairBody{b, pair}
	}
	return b
}

type pairBody struct {
	*body
	to sha256pair.Writer
}

// WriteBlocks implements sha256pair.Writer. The error of what was written before is that of the next Write.
func (b pairBody) WriteBlocks(p []byte, sums [][sha256.Size]byte) {
	b.a.w.Flush()
	b.to.WriteBlocks(p, sums)
	b.n += int64(len(p))
}

// Size returns the length in bytes of the archive that [Write] makes of n, without reading any content.
func Size(n *tree.Node) int64 { return int64(len(magic)) + nodeSize(n.Inode()) }

// nodeSize returns the bytes that node writes for n, from the lengths of the same framed words.
func nodeSize(n *tree.Node) int64 {
	size := int64(len(closeBracket))
	switch n.Kind() {
	case tree.File:
		size += int64(len(openingOf(n))) + framedLen(n.Size())
	case tree.Dir:
		size += int64(len(openDir))
		for _, c := range n.Children() {
			size += entrySize + framedLen(int64(len(c.Name))) + nodeSize(c.Inode())
		}
	case tree.Symlink:
		size += int64(len(openSymlink)) + framedLen(n.Size())
	}
	return size
}

var entrySize = int64(len(openEntry) + len(beforeNode) + len(closeBracket))
