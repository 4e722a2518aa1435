// Package squashfs makes squashfs file systems with the programs of squashfs-tools, from a tar stream: nothing is staged, and nothing of the host can
// reach the image except through the stream.
package squashfs

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"imprint/internal/hosttool"
	"imprint/internal/processors"
	"imprint/internal/tree"
)

// Options are what a file system is like apart from its tree.
type Options struct {
	Made        int64  // the time in the superblock, seconds since 1970
	Compression string // the name of one of [Compressors]; "" for zstd
	Level       int64  // of the compression; 0 for the compressor's default
	BlockSize   int64  // bytes: a power of two from MinBlock to MaxBlock; 0 for DefaultBlock
}

// A Writer makes one file system. Every Writer must be closed.
type Writer struct {
	archive archive
	pipe    *io.PipeWriter
	ended   chan error
	first   map[*tree.Node]string
	ids     map[uint32]bool // users and groups
}

// memory is what sqfstar may take for its queues, a quarter of the machine's memory when it is not told. It packs as fast with less, and the
// same bytes.
const memory = "256M"

// Create starts a file system for a tree in the named file, whose content is replaced. The error is a [*hosttool.MissingError] when the
// host lacks the program.
func Create(ctx context.Context, name string, t *tree.Tree, o Options) (*Writer, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	root := t.Root().Attr
	if err := errors.Join(checkTime(tree.Time{Sec: o.Made}), checkRoot(root)); err != nil {
		return nil, fmt.Errorf("/: %v", err)
	}
	program, args := o.command(t, name)
	if _, err := hosttool.Find(program); err != nil {
		return nil, err
	}
	out, in := io.Pipe()
	w := newWriter(in)
	w.pipe, w.ended = in, make(chan error, 1)
	// The program reads the archive while Add writes it. When it fails, closing the pipe makes Add return its error.
	go func() {
		_, err := hosttool.Run(ctx, hosttool.Command{Name: program, Args: args, Stdin: out})
		if err == nil {
			_, err = io.Copy(io.Discard, out) // the padding after the end of the archive
		}
		if err == nil {
			err = ownRoot(name, program, root, w.ids)
		}
		out.CloseWithError(err)
		w.ended <- err
	}()
	return w, nil
}

// newWriter returns a Writer of an archive alone.
func newWriter(out io.Writer) *Writer {
	return &Writer{archive: newArchive(out), first: map[*tree.Node]string{}, ids: map[uint32]bool{}}
}

// command returns the program that makes the file system, and its arguments. sqfstar 4.5 takes no option of a compressor; mksquashfs does,
// and makes the same of a tar stream if told so.
func (o Options) command(t *tree.Tree, name string) (program string, args []string) {
	args = append(strings.Fields("-quiet -no-progress -exit-on-error -comp"), cmp.Or(o.Compression, Compressors[0].Name))
	if !hasXattrs(t) {
		args = append(args, "-no-xattrs") // no table of them either
	}
	if o.BlockSize != 0 {
		args = append(args, "-b", fmt.Sprint(o.BlockSize))
	}
	args = append(args, "-noI", "-mem", memory, "-processors", fmt.Sprint(processors.Count()),
		"-root-mode", fmt.Sprintf("%o", t.Root().Attr.Mode), "-mkfs-time", fmt.Sprint(o.Made))
	if o.Level == 0 {
		return "sqfstar", append(args, "-force", name)
	}
	args = append(args, "-Xcompression-level", fmt.Sprint(o.Level))
	return "mksquashfs", append([]string{"-", name, "-tar", "-noappend", "-no-exports", "-tailends"}, args...)
}

// Add adds a node at a path whose directory has been added. content writes a file's content; it is not called for a further name of a file.
// What it writes to may be a [tree.ZeroWriter], to which holes cost nothing.
func (w *Writer) Add(path string, n *tree.Node, content func(io.Writer) error) error {
	if path == "/" {
		return nil
	}
	n = n.Inode()
	h, err := w.header(path, n)
	if err != nil {
		return fmt.Errorf("%s: %v", tree.Shown(path), err)
	}
	if h.Typeflag != tar.TypeReg {
		err = w.archive.member(h, n.Attr.Xattrs)
	} else {
		err = w.archive.file(h, n, content)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", tree.Shown(path), err)
	}
	return nil
}

// header is the tar header of a node. The GNU format allows any bytes in names.
func (w *Writer) header(path string, n *tree.Node) (*tar.Header, error) {
	if err := checkNode(n); err != nil {
		return nil, err
	}
	w.ids[n.Attr.UID], w.ids[n.Attr.GID] = true, true
	h := &tar.Header{
		Typeflag: types[n.Kind()], Name: path[1:], Linkname: n.Target(), Mode: int64(n.Attr.Mode), Uid: int(n.Attr.UID), Gid: int(n.Attr.GID),
		ModTime: time.Unix(n.Attr.Mtime.Sec, 0), Format: tar.FormatGNU,
	}
	switch {
	case n.Kind() == tree.Dir:
		h.Name += "/"
		return h, nil
	case w.first[n] != "":
		h.Typeflag, h.Linkname = tar.TypeLink, w.first[n]
		return h, nil
	}
	w.first[n] = h.Name
	if n.Kind() == tree.File {
		h.Size = n.Size()
	}
	h.Devmajor, h.Devminor = int64(n.Device().Major), int64(n.Device().Minor)
	return h, nil
}

// Close ends the file system. When sqfstar has ended before, its error says best why.
func (w *Writer) Close() error {
	err := w.archive.tar.Close()
	w.pipe.CloseWithError(err) // nil is the end of the stream
	if ended := <-w.ended; ended != nil {
		return ended
	}
	return err
}
