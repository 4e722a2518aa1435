// Package extract writes trees to directories of the host.
package extract

import (
	"context"
	"errors"
	"io"
	"os"
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
	err = x.all(top)
	return x.omitted, err
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
			if err := x.dir.Mkdir(name, 0o700); err != nil && !(name == "." && errors.Is(err, os.ErrExist)) {
				return err
			}
			continue
		}
		if err := x.one(name, n); err != nil {
			return err
		}
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := x.attributes(dirs[i].name, dirs[i].node); err != nil {
			return err
		}
	}
	return nil
}

// one writes a node that is no directory.
func (x *extractor) one(name string, n *tree.Node) error {
	inode := n.Inode()
	if first := x.first[inode]; first != "" {
		return x.dir.Link(first, name)
	}
	switch inode.Kind() {
	case tree.Symlink:
		if err := x.dir.Symlink(inode.Target(), name); err != nil || !x.Owners {
			return err
		}
		return x.dir.Lchown(name, int(inode.Attr.UID), int(inode.Attr.GID))
	case tree.File:
		x.first[inode] = name
		if err := x.file(name, inode.Blob()); err != nil {
			return err
		}
		return x.attributes(name, inode)
	}
	x.omitted = append(x.omitted, name)
	return nil
}

// file writes a content, with its holes.
func (x *extractor) file(name string, b tree.Blob) (err error) {
	f, err := x.dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, d := range tree.DataOf(b) {
		if err := tree.Copy(x.ctx, io.NewOffsetWriter(f, d.Off), tree.Slice(b, d.Off, d.Len), nil); err != nil {
			return err
		}
	}
	return f.Truncate(b.Size())
}

// attributes gives a file or directory its owner, mode and time. A change of owner takes set-ID bits away, so that the mode comes after it.
func (x *extractor) attributes(name string, n *tree.Node) error {
	a := n.Attr
	mode := os.FileMode(a.Mode & 0o777)
	if x.Owners {
		if err := x.dir.Chown(name, int(a.UID), int(a.GID)); err != nil {
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
	return errors.Join(x.dir.Chmod(name, mode), x.dir.Chtimes(name, t, t))
}
