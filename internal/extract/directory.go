// Package extract writes the nodes of an untrusted tree to a directory, which they cannot escape, or to a tar archive.
package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// An Omission reports a node or attribute that was not written.
type Omission struct {
	Path string // below the directory, or in the archive
	Why  string
}

const noFile = "is omitted: it is not a file, directory or link"

// Options select what files keep besides permissions, times, holes and extended attributes.
type Options struct {
	Owners bool // owners, set-ID and sticky bits; the caller needs the privilege to change owners
	SetID  bool // set-ID and sticky bits whoever owns the files: for a directory that nobody else can reach
}

// Directory writes nodes and everything below them to a directory. Names that exist are an error. Links, holes, modes, times and extended
// attributes are kept, and what o selects. Devices, fifos and sockets are omitted, and so are attributes that the file system or the kernel
// refuses. A content with a pin is compared with it: the error matches [tree.ErrChanged] if they differ.
func Directory(ctx context.Context, dir *os.Root, tops []tree.Walked, o Options) (omitted []Omission, err error) {
	x := &extractor{ctx: ctx, dir: dir, first: map[*tree.Node]string{}, Options: o}
	defer func() { err = errors.Join(err, x.leave()) }()
	for _, top := range tops {
		if err := x.all(top); err != nil {
			return x.omitted, err
		}
	}
	return x.omitted, nil
}

// An extractor writes nodes below a directory.
type extractor struct {
	ctx   context.Context
	dir   *os.Root
	first map[*tree.Node]string // the first name of each file, for hard links
	Options
	omitted []Omission

	at   string   // the directory of the last node
	open *os.Root // that directory, kept open so that its path is not resolved for each node in it
}

// parent returns the directory that a name is in, and the last element of the name. It is valid until the next call.
func (x *extractor) parent(name string) (*os.Root, string, error) {
	dir, base := path.Split(name)
	if dir == "" {
		return x.dir, base, nil
	}
	if x.open != nil && x.at == dir {
		return x.open, base, nil
	}
	if err := x.leave(); err != nil {
		return nil, "", err
	}
	r, err := x.dir.OpenRoot(dir)
	x.at, x.open = dir, r
	return r, base, err
}

// leave closes the directory that parent has opened.
func (x *extractor) leave() error {
	if x.open == nil {
		return nil
	}
	r := x.open
	x.open = nil
	return r.Close()
}

func (x *extractor) omit(path, format string, args ...any) {
	x.omitted = append(x.omitted, Omission{path, fmt.Sprintf(format, args...)})
}

// nameOf returns the name under which a node is written, "." for the top of a tree.
func nameOf(top tree.Walked) string {
	if base := top.Path[strings.LastIndexByte(top.Path, '/')+1:]; base != "" {
		return base
	}
	return "."
}

// all writes a node and everything below it. Directories get their attributes last: a mode may forbid writing, and writing changes times.
func (x *extractor) all(top tree.Walked) error {
	base := nameOf(top)
	type made struct {
		name string
		node *tree.Node
	}
	var dirs []made
	for below, n := range tree.Walk("", top.Node) {
		if x.ctx.Err() != nil {
			return context.Cause(x.ctx)
		}
		name := base + below
		if n.Kind() == tree.Dir {
			dirs = append(dirs, made{name, n})
			if err := x.mkdir(name); err != nil {
				return err
			}
			continue
		}
		if err := x.one(name, n); err != nil {
			return err
		}
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := x.attributes(dirs[i].name, dirs[i].node.Attr); err != nil {
			return err
		}
	}
	return nil
}

// mkdir makes a directory, unless it is the top, which exists.
func (x *extractor) mkdir(name string) error {
	if name == "." {
		return nil
	}
	r, base, err := x.parent(name)
	if err != nil {
		return err
	}
	return r.Mkdir(base, 0o700)
}

// one writes a node other than a directory.
func (x *extractor) one(name string, n *tree.Node) error {
	inode := n.Inode()
	if first := x.first[inode]; first != "" {
		return x.dir.Link(first, name)
	}
	switch inode.Kind() {
	case tree.Symlink:
		x.first[inode] = name
		return x.symlink(name, inode)
	case tree.File:
		x.first[inode] = name
		if err := x.file(name, inode.Blob()); err != nil {
			return err
		}
		return x.attributes(name, inode.Attr)
	}
	x.omit(name, noFile)
	return nil
}

// symlink writes a symlink. Linux ignores its mode.
func (x *extractor) symlink(name string, n *tree.Node) error {
	r, base, err := x.parent(name)
	if err != nil {
		return err
	}
	if err := r.Symlink(n.Target(), base); err != nil {
		return err
	}
	if x.Owners {
		if err := r.Lchown(base, int(n.Attr.UID), int(n.Attr.GID)); err != nil {
			return err
		}
	}
	parent, err := r.Open(".")
	if err != nil {
		return err
	}
	defer parent.Close()
	t := unix.NsecToTimespec(timeOf(n.Attr).UnixNano())
	return unix.UtimesNanoAt(int(parent.Fd()), base, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW)
}

// file writes a content, with its holes.
func (x *extractor) file(name string, b tree.Blob) (err error) {
	r, base, err := x.parent(name)
	if err != nil {
		return err
	}
	f, err := r.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if want, ok := tree.PinOf(b); ok {
		return x.pinned(f, b, want)
	}
	for _, d := range tree.DataOf(b) {
		if err := tree.Copy(x.ctx, io.NewOffsetWriter(f, d.Off), tree.Slice(b, d.Off, d.Len), nil); err != nil {
			return err
		}
	}
	return f.Truncate(b.Size())
}

// pinned writes a content that must have a pin.
func (x *extractor) pinned(f *os.File, b tree.Blob, want tree.Pin) error {
	found, err := tree.PinContent(x.ctx, b, fileWriter{f})
	if err != nil {
		return err
	}
	if got, _ := tree.PinOf(found); got != want {
		return fmt.Errorf("%s %w: its content does not have its digest any more", tree.HostPath(b), tree.ErrChanged)
	}
	return f.Truncate(b.Size())
}

// A fileWriter writes to a new file, in which zeros are holes.
type fileWriter struct{ *os.File }

// WriteZeros implements tree.ZeroWriter.
func (w fileWriter) WriteZeros(n int64) error {
	_, err := w.Seek(n, io.SeekCurrent)
	return err
}

// attributes gives a file or directory its owner, extended attributes, mode and time. A change of owner takes capabilities and set-ID bits away,
// so they come after it; and attributes of users need a file that they can write to, so the mode comes after them.
func (x *extractor) attributes(name string, a *tree.Attr) error {
	r, base, err := x.parent(name)
	if err != nil {
		return err
	}
	if x.Owners {
		if err := r.Chown(base, int(a.UID), int(a.GID)); err != nil {
			return err
		}
	}
	if err := x.xattrs(name, a.Xattrs); err != nil {
		return err
	}
	t := timeOf(a)
	return errors.Join(r.Chmod(base, modeOf(a, x.Owners || x.SetID)), r.Chtimes(base, t, t))
}

// xattrs sets extended attributes, and omits those that are refused.
func (x *extractor) xattrs(name string, list []tree.Xattr) error {
	if len(list) == 0 {
		return nil
	}
	f, err := x.dir.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, a := range list {
		switch err := unix.Fsetxattr(int(f.Fd()), a.Name, a.Value, 0); {
		case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EINVAL), errors.Is(err, unix.E2BIG):
			x.omit(name, "is without its attribute %q: %v", a.Name, err)
		case err != nil:
			return &os.PathError{Op: "set attribute of", Path: name, Err: err}
		}
	}
	return nil
}

// modeOf returns the permission bits of a file, with special also the set-ID and sticky bits, which depend on the owner.
func modeOf(a *tree.Attr, special bool) os.FileMode {
	mode := os.FileMode(a.Mode & 0o777)
	for bit, set := range map[uint16]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if special && a.Mode&bit != 0 {
			mode |= set
		}
	}
	return mode
}

func timeOf(a *tree.Attr) time.Time { return time.Unix(a.Mtime.Sec, int64(a.Mtime.Nsec)) }
