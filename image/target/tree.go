package target

import (
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"imprint/internal/repro"
	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// A treeWriter writes a tree to a path where nothing is, with the metadata of a store item (canonicalisePathMetaData in local-store.cc).
type treeWriter struct {
	path  string
	node  *tree.Node
	files map[*tree.Node]string
	dirs  []string
	strip bool // what is written may get extended attributes from the directory that it is in
}

func newTreeWriter(path string, n *tree.Node) *treeWriter {
	w := &treeWriter{path: path, node: n, files: map[*tree.Node]string{}}
	size, err := unix.Lgetxattr(filepath.Dir(path), "system.posix_acl_default", nil)
	w.strip = err == nil && size > 0
	return w
}

// begin writes directories and symlinks. Directories can be written to until end.
func (w *treeWriter) begin() error {
	for at, n := range tree.Walk(w.path, w.node) {
		switch n.Inode().Kind() {
		case tree.Dir:
			if err := os.Mkdir(at, 0o700); err != nil {
				return err
			}
			w.dirs = append(w.dirs, at)
		case tree.Symlink:
			if err := os.Symlink(n.Inode().Target(), at); err != nil {
				return err
			}
			if err := w.finish(at); err != nil {
				return err
			}
		default:
			w.files[n] = at
		}
	}
	return nil
}

// storeTime is the time of everything in an item, for access too.
var storeTime = []unix.Timespec{{Sec: repro.StoreEpoch}, {Sec: repro.StoreEpoch}}

// finish sets the time of what is at a path.
func (w *treeWriter) finish(at string) error {
	if err := w.unattributed(at); err != nil {
		return err
	}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, at, storeTime, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "set the time of", Path: at, Err: err}
	}
	return nil
}

// kept are the extended attributes that Nix leaves (ignored-acls in globals.hh).
var kept = []string{"security.selinux", "system.nfs4_acl", ""}

// unattributed removes extended attributes, access control lists among them.
func (w *treeWriter) unattributed(at string) error {
	if !w.strip {
		return nil
	}
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(at, buf)
	if err != nil {
		return &os.PathError{Op: "list the attributes of", Path: at, Err: err}
	}
	for name := range strings.SplitSeq(string(buf[:n]), "\x00") {
		if slices.Contains(kept, name) {
			continue
		}
		if err := unix.Lremovexattr(at, name); err != nil && !errors.Is(err, unix.ENODATA) {
			return &os.PathError{Op: "remove the attribute " + name + " of", Path: at, Err: err}
		}
	}
	return nil
}

// file opens a file for its content.
func (w *treeWriter) file(n *tree.Node) (io.WriteCloser, error) {
	at := w.files[n]
	f, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	return &storeFile{f, w, os.FileMode(n.Inode().Attr.Mode)}, nil
}

// A storeFile is a file of an item that is being written.
type storeFile struct {
	*os.File
	w    *treeWriter
	mode os.FileMode
}

// Close sets mode and time.
func (f *storeFile) Close() error {
	err := f.w.unattributed(f.Name())
	if err == nil {
		err = f.Chmod(f.mode)
	}
	if err == nil {
		err = unix.UtimesNanoAt(int(f.Fd()), "", storeTime, unix.AT_EMPTY_PATH)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // before Linux 5.8
			err = f.w.finish(f.Name())
		}
	}
	return cmp.Or(err, f.File.Close())
}

// end sets mode and time of the directories, those in others first.
func (w *treeWriter) end() error {
	for _, at := range slices.Backward(w.dirs) {
		if err := w.unattributed(at); err != nil {
			return err
		}
		if err := os.Chmod(at, 0o555); err != nil {
			return err
		}
		if err := w.finish(at); err != nil {
			return err
		}
	}
	return nil
}
