package erofs

import (
	"fmt"
	"io"
	"io/fs"
	"time"

	"imprint/internal/tree"

	erofs "github.com/erofs/go-erofs"
)

// A Writer makes one file system.
type Writer struct{ w *erofs.Writer }

// Create starts a file system in an empty file; contents wait in a file in the directory scratch, which has no name.
// made is what the file system tells as the time it was made at, in seconds since 1970.
func Create(file io.WriteSeeker, scratch string, made int64) (*Writer, error) {
	if made < 0 {
		return nil, fmt.Errorf("time %d is none of EROFS's, which count from 1970", made)
	}
	return &Writer{erofs.Create(file, erofs.WithBuildTime(uint64(made), 0), erofs.WithTempDir(scratch))}, nil
}

func checkNode(n *tree.Node) error {
	switch n.Kind() {
	case tree.File, tree.Dir, tree.Symlink:
	default:
		return fmt.Errorf("a %v cannot be in an EROFS of ours", n.Kind())
	}
	switch a := n.Attr; {
	case len(a.Xattrs) > 0:
		return fmt.Errorf("extended attribute %q is not carried over", a.Xattrs[0].Name)
	case a.Mtime.Sec < 0:
		return fmt.Errorf("time %d is none of EROFS's, which count from 1970", a.Mtime.Sec)
	}
	return nil
}

// Add adds a node at a path; its directory is there already. content writes a file's content to w.
func (w *Writer) Add(path string, n *tree.Node, content func(io.Writer) error) error {
	n = n.Inode()
	if err := checkNode(n); err != nil {
		return fmt.Errorf("%s: %v", path, err)
	}
	if err := w.add(path, n, content); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return w.attributes(path, n)
}

func (w *Writer) add(path string, n *tree.Node, content func(io.Writer) error) error {
	switch n.Kind() {
	case tree.Dir:
		if path == "/" {
			return nil
		}
		return w.w.Mkdir(path, 0o755)
	case tree.Symlink:
		return w.w.Symlink(n.Target(), path)
	}
	f, err := w.w.Create(path)
	if err != nil {
		return err
	}
	if err := content(f); err != nil {
		return err
	}
	return f.Close()
}

func (w *Writer) attributes(path string, n *tree.Node) error {
	t := time.Unix(n.Attr.Mtime.Sec, int64(n.Attr.Mtime.Nsec))
	if err := w.w.Chown(path, int(n.Attr.UID), int(n.Attr.GID)); err != nil {
		return err
	}
	if err := w.w.Chmod(path, fileMode(n.Attr.Mode)); err != nil {
		return err
	}
	return w.w.Chtimes(path, t, t)
}

// fileMode is a mode in Go's bits.
func fileMode(mode uint16) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for bit, set := range map[uint16]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= set
		}
	}
	return m
}

// Close writes the file system.
func (w *Writer) Close() error { return w.w.Close() }
