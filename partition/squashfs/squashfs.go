// Package squashfs makes squashfs file systems with the program sqfstar, from a tar stream: nothing is staged, and nothing of the host can
// reach the image except through the stream.
package squashfs

import (
	"archive/tar"
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

// A Writer makes one file system. Every Writer must be closed.
type Writer struct {
	tar   *tar.Writer
	pipe  *io.PipeWriter
	ended chan error
	first map[*tree.Node]string
	ids   map[uint32]bool // users and groups
}

// maxTime is the last time that an inode can store: unsigned 32 bits of seconds since 1970.
const maxTime = 1<<32 - 1

// memory is what sqfstar may take for its queues, a quarter of the machine's memory when it is not told. It packs as fast with less, and the
// same bytes.
const memory = "256M"

// Create starts a file system in the named file, whose content is replaced. root is the attributes of the root directory, and made the time in
// the superblock, in seconds since 1970. The error is a [*hosttool.MissingError] when the host lacks sqfstar.
func Create(ctx context.Context, name string, root *tree.Attr, made int64) (*Writer, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(checkTime(tree.Time{Sec: made}), checkAttr(root)); err != nil {
		return nil, fmt.Errorf("/: %v", err)
	}
	if _, err := hosttool.Find("sqfstar"); err != nil {
		return nil, err
	}
	out, in := io.Pipe()
	w := &Writer{tar: tar.NewWriter(in), pipe: in, ended: make(chan error, 1), first: map[*tree.Node]string{}, ids: map[uint32]bool{}}
	args := append(strings.Fields("-quiet -no-progress -exit-on-error -force -comp zstd -no-xattrs -noI"),
		"-mem", memory, "-processors", fmt.Sprint(processors.Count()),
		"-root-mode", fmt.Sprintf("%o", root.Mode), "-mkfs-time", fmt.Sprint(made), name)
	// sqfstar reads the archive while Add writes it. When it fails, closing the pipe makes Add return its error.
	go func() {
		_, err := hosttool.Run(ctx, hosttool.Command{Name: "sqfstar", Args: args, Stdin: out})
		if err == nil {
			_, err = io.Copy(io.Discard, out) // the padding after the end of the archive
		}
		if err == nil {
			err = ownRoot(name, root, w.ids)
		}
		out.CloseWithError(err)
		w.ended <- err
	}()
	return w, nil
}

// checkTime returns an error for a time that an inode cannot hold.
func checkTime(t tree.Time) error {
	if t.Sec < 0 || t.Sec > maxTime {
		return fmt.Errorf("time %d is not between 0 and %d seconds since 1970, which squashfs can store", t.Sec, int64(maxTime))
	}
	return nil
}

// checkAttr returns an error for attributes that would not reach the image.
func checkAttr(a *tree.Attr) error {
	if len(a.Xattrs) > 0 {
		return fmt.Errorf("extended attribute %q is not supported", a.Xattrs[0].Name)
	}
	return checkTime(a.Mtime)
}

// Check returns an error with the path of a node that a file system of this package cannot hold.
func Check(t *tree.Tree) error {
	for path, n := range t.Walk() {
		if err := checkNode(n.Inode()); err != nil {
			return fmt.Errorf("%s: %v", tree.Shown(path), err)
		}
	}
	return nil
}

// checkNode returns an error for a node that the tar stream or the image cannot hold. Sockets are among them.
func checkNode(n *tree.Node) error {
	if _, ok := types[n.Kind()]; !ok {
		return fmt.Errorf("a %v cannot be in a tar archive", n.Kind())
	}
	if n.Kind() == tree.Symlink && (n.Target() == "" || strings.Contains(n.Target(), "\x00")) {
		return fmt.Errorf("link target %q is empty or has a NUL in it", n.Target())
	}
	return checkAttr(n.Attr)
}

var types = map[tree.Kind]byte{
	tree.File: tar.TypeReg, tree.Dir: tar.TypeDir, tree.Symlink: tar.TypeSymlink, tree.CharDevice: tar.TypeChar,
	tree.BlockDevice: tar.TypeBlock, tree.Fifo: tar.TypeFifo,
}

// Add adds a node at a path whose directory has been added. content writes a file's content; it is not called for a further name of a file.
func (w *Writer) Add(path string, n *tree.Node, content func(io.Writer) error) error {
	if path == "/" {
		return nil
	}
	n = n.Inode()
	h, err := w.header(path, n)
	if err != nil {
		return fmt.Errorf("%s: %v", tree.Shown(path), err)
	}
	if err := w.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", tree.Shown(path), err)
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	return content(w.tar)
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
	err := w.tar.Close()
	w.pipe.CloseWithError(err) // nil is the end of the stream
	if ended := <-w.ended; ended != nil {
		return ended
	}
	return err
}
