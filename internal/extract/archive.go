package extract

import (
	"archive/tar"
	"context"
	"io"
	"strings"

	"imprint/internal/tree"
)

// Archive writes nodes and everything below them as a tar archive in the pax format, in the order of the tree: with owners, modes, times, hard
// links, devices and extended attributes. Holes become zeros. Sockets are omitted, and so are attributes that a pax record cannot hold: those
// without a value, or with an "=" in their name.
func Archive(ctx context.Context, w io.Writer, tops []tree.Walked) ([]Omission, error) {
	a := &archiver{ctx: ctx, tar: tar.NewWriter(w), first: map[*tree.Node]string{}}
	for _, top := range tops {
		for below, n := range tree.Walk("", top.Node) {
			if ctx.Err() != nil {
				return a.omitted, context.Cause(ctx)
			}
			if err := a.add(nameOf(top)+below, n.Inode()); err != nil {
				return a.omitted, err
			}
		}
	}
	return a.omitted, a.tar.Close()
}

// An archiver adds nodes to an archive.
type archiver struct {
	ctx     context.Context
	tar     *tar.Writer
	first   map[*tree.Node]string
	omitted []Omission
}

// types maps kinds of nodes to types of members.
var types = map[tree.Kind]byte{
	tree.File: tar.TypeReg, tree.Dir: tar.TypeDir, tree.Symlink: tar.TypeSymlink,
	tree.CharDevice: tar.TypeChar, tree.BlockDevice: tar.TypeBlock, tree.Fifo: tar.TypeFifo,
}

func (a *archiver) add(name string, n *tree.Node) error {
	h := a.header(name, n)
	if h == nil {
		a.omitted = append(a.omitted, Omission{name, "is omitted: a tar archive cannot hold sockets"})
		return nil
	}
	if err := a.tar.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	return tree.Copy(a.ctx, a.tar, n.Blob(), nil)
}

// header returns the header of a node, nil if an archive cannot hold it.
func (a *archiver) header(name string, n *tree.Node) *tar.Header {
	kind, ok := types[n.Kind()]
	if !ok {
		return nil
	}
	h := &tar.Header{
		Format: tar.FormatPAX, Typeflag: kind, Name: name, Mode: int64(n.Attr.Mode), Uid: int(n.Attr.UID), Gid: int(n.Attr.GID), ModTime: timeOf(n.Attr),
	}
	if first := a.first[n]; first != "" {
		h.Typeflag, h.Linkname = tar.TypeLink, first
		return h
	}
	switch n.Kind() {
	case tree.Dir:
		h.Name += "/"
	case tree.File:
		h.Size = n.Size()
	case tree.Symlink:
		h.Linkname = n.Target()
	case tree.CharDevice, tree.BlockDevice:
		h.Devmajor, h.Devminor = int64(n.Device().Major), int64(n.Device().Minor)
	}
	if n.Kind() != tree.Dir {
		a.first[n] = name
	}
	a.xattrs(h, n.Attr.Xattrs)
	return h
}

// xattrs adds extended attributes as the pax records of star, "SCHILY.xattr.NAME", which GNU tar and bsdtar read.
func (a *archiver) xattrs(h *tar.Header, list []tree.Xattr) {
	for _, x := range list {
		if len(x.Value) == 0 || strings.Contains(x.Name, "=") {
			a.omitted = append(a.omitted, Omission{h.Name, "is without its attribute " + tree.Shown(x.Name) + ", which a tar archive cannot hold"})
			continue
		}
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+x.Name] = string(x.Value)
	}
}
