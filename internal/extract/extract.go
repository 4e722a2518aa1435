// Package extract writes trees to directories of the host.
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
)

// An extractor writes nodes below a directory that it cannot leave.
type extractor struct {
	ctx   context.Context
	dir   *os.Root
	first map[*tree.Node]string // name of each file's first node, for hard links
	Options
	omitted []string

	at   string   // the directory that the last node was put into
	open *os.Root // that directory: the way to it is not looked up again for each node in it
}

// Options say what nodes keep besides permissions, times and holes.
type Options struct {
	Owners bool // their owners, which takes root, and then set-ID and sticky bits
	SetID  bool // set-ID and sticky bits, of whoever owns the files: for a directory that nobody else can reach
}

// All writes a node and everything below it to a directory. A node without a name, the top of a tree, becomes the directory itself; any other one
// is named as it is. Nothing is written outside of the directory, and nothing in it is replaced but the attributes of directories. Links, holes, modes
// and times are kept as far as the options say.
//
// Devices, fifos and sockets are left out: their paths are returned. Errors are those of the host's file system, [tree.ErrChanged], or ctx's cause.
func All(ctx context.Context, dir *os.Root, top tree.Walked, o Options) (omitted []string, err error) {
	x := &extractor{ctx: ctx, dir: dir, first: map[*tree.Node]string{}, Options: o}
	defer func() { err = errors.Join(err, x.leave()) }()
	err = x.all(top)
	return x.omitted, err
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

// all writes a node and everything below it. Directories get their modes and times last, when nothing more is put into them.
func (x *extractor) all(top tree.Walked) error {
	base := top.Path[strings.LastIndexByte(top.Path, '/')+1:]
	if base == "" {
		base = "."
	}
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
		r, base, err := x.parent(dirs[i].name)
		if err == nil {
			err = x.attributes(r, base, dirs[i].node)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mkdir makes a directory, unless it is the one that is there.
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

// one writes a node that is no directory.
func (x *extractor) one(name string, n *tree.Node) error {
	inode := n.Inode()
	if first := x.first[inode]; first != "" {
		return x.dir.Link(first, name)
	}
	r, base, err := x.parent(name)
	if err != nil {
		return err
	}
	switch inode.Kind() {
	case tree.Symlink:
		if err := r.Symlink(inode.Target(), base); err != nil || !x.Owners {
			return err
		}
		return r.Lchown(base, int(inode.Attr.UID), int(inode.Attr.GID))
	case tree.File:
		x.first[inode] = name
		if err := x.file(r, base, inode.Blob()); err != nil {
			return err
		}
		return x.attributes(r, base, inode)
	}
	x.omitted = append(x.omitted, name)
	return nil
}

// file writes a content, with its holes. One that has a pin is compared with it.
func (x *extractor) file(r *os.Root, base string, b tree.Blob) (err error) {
	f, err := r.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if want, ok := tree.PinOf(b); ok {
		found, err := tree.PinContent(x.ctx, b, fileWriter{f})
		if err != nil {
			return err
		}
		if got, _ := tree.PinOf(found); got != want {
			return fmt.Errorf("%s %w: its content does not have its digest any more", tree.HostPath(b), tree.ErrChanged)
		}
		return f.Truncate(b.Size())
	}
	for _, d := range tree.DataOf(b) {
		if err := tree.Copy(x.ctx, io.NewOffsetWriter(f, d.Off), tree.Slice(b, d.Off, d.Len), nil); err != nil {
			return err
		}
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

// attributes gives a file or directory its owner, mode and time. A change of owner takes set-ID bits away, so that the mode comes after it.
func (x *extractor) attributes(r *os.Root, base string, n *tree.Node) error {
	a := n.Attr
	mode := os.FileMode(a.Mode & 0o777)
	if x.Owners {
		if err := r.Chown(base, int(a.UID), int(a.GID)); err != nil {
			return err
		}
	}
	if x.Owners || x.SetID {
		for bit, set := range map[uint16]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
			if a.Mode&bit != 0 {
				mode |= set
			}
		}
	}
	t := time.Unix(a.Mtime.Sec, int64(a.Mtime.Nsec))
	return errors.Join(r.Chmod(base, mode), r.Chtimes(base, t, t))
}
