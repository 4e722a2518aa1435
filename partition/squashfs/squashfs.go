// Package squashfs makes squashfs file systems by the program sqfstar, from a tar stream: nothing is staged, and what is not in the stream
// cannot reach the image.
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

// maxTime is the last second that an inode tells, which are counted from 1970 in 32 bits without sign.
const maxTime = 1<<32 - 1

// Create starts a file system in the file of that name, whose content is replaced. root has the attributes of its root, and made is what the
// file system tells as the time it was made at, in seconds since 1970. The error is a *hosttool.MissingError when the host lacks sqfstar.
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
		"-root-mode", fmt.Sprintf("%o", root.Mode), "-mkfs-time", fmt.Sprint(made), name)
	go func() {
		_, err := hosttool.Run(ctx, hosttool.Command{Name: "sqfstar", Args: args, Stdin: out})
		if err == nil {
			_, err = io.Copy(io.Discard, out) // padding after the end of the archive
		}
		if err == nil {
			err = ownRoot(name, root, w.ids)
		}
		out.CloseWithError(err)
		w.ended <- err
	}()
	return w, nil
}

func checkTime(t tree.Time) error {
	if t.Sec < 0 || t.Sec > maxTime {
		return fmt.Errorf("time %d is none of squashfs's, 0 to %d seconds since 1970", t.Sec, int64(maxTime))
	}
	return nil
}

// checkAttr refuses what would not arrive.
func checkAttr(a *tree.Attr) error {
	if len(a.Xattrs) > 0 {
		return fmt.Errorf("extended attribute %q is not carried over", a.Xattrs[0].Name)
	}
	return checkTime(a.Mtime)
}

// Check says what of a tree a file system of ours does not carry. The error names the path.
func Check(t *tree.Tree) error {
	for path, n := range t.Walk() {
		if err := checkNode(n.Inode()); err != nil {
			return fmt.Errorf("%s: %v", path, err)
		}
	}
	return nil
}

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

// Add adds a node at a path; its directory is there already. content writes a file's content to w; for a further name of a file it is not
// called.
func (w *Writer) Add(path string, n *tree.Node, content func(io.Writer) error) error {
	if path == "/" {
		return nil
	}
	n = n.Inode()
	h, err := w.header(path, n)
	if err != nil {
		return fmt.Errorf("%s: %v", path, err)
	}
	if err := w.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	return content(w.tar)
}

// header is what the archive says of a node. The format of GNU takes any bytes for names.
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
