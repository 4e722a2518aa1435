package iso9660

import (
	"errors"
	"fmt"
	"io"

	"imprint/internal/tree"
)

// maxDepth bounds the nesting of directories; a path that Linux takes has at most half as many names as bytes.
const maxDepth = 2048

// File types in the mode of POSIX.
const (
	typeMask    = 0o170000
	typeFifo    = 0o010000
	typeChar    = 0o020000
	typeDir     = 0o040000
	typeBlock   = 0o060000
	typeFile    = 0o100000
	typeSymlink = 0o120000
	typeSocket  = 0o140000
)

// tree reads the whole tree.
func (rd *reader) tree(root record) (*tree.Tree, error) {
	own, err := rd.own(root)
	if err != nil {
		return nil, err
	}
	if rd.skip, err = skipped(own.use); err != nil {
		return nil, err
	}
	rr, err := rd.rockRidge(own)
	if err != nil {
		return nil, err
	}
	n, err := rd.directory("", rr, root, 0)
	if err != nil {
		return nil, err
	}
	b := tree.NewBuilder(n.Attr)
	if err := b.Add("/", n, "image"); err != nil {
		return nil, err
	}
	return b.Tree()
}

// own is the first record of a directory, which is that of the directory itself.
func (rd *reader) own(dir record) (own record, err error) {
	p := make([]byte, min(block, max(dir.size, 0)))
	if err := rd.read(p, dir.start*block); err != nil {
		return record{}, err
	}
	if len(p) == 0 || int(p[0]) > len(p) {
		return record{}, fmt.Errorf("no directory at block %d", dir.start)
	}
	return parseRecord(p[:p[0]])
}

// directory makes a node of a directory and all below it.
func (rd *reader) directory(name string, rr *rockRidge, dir record, depth int) (*tree.Node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("directories nest deeper than %d", maxDepth)
	}
	var list []*tree.Node
	var more []tree.Range // of a file that has further records
	err := rd.records(dir, func(r record) error {
		if r.id == "\x00" || r.id == "\x01" { // the directory itself and its parent
			return nil
		}
		if r.flags&isDirectory == 0 {
			more = append(more, tree.Range{Off: r.start * block, Len: r.size})
			if r.flags&hasMore != 0 {
				return nil
			}
		}
		n, err := rd.node(r, more, depth)
		if n != nil {
			list = append(list, n)
		}
		more = nil
		return err
	})
	if err == nil && len(more) > 0 {
		err = errors.New("a file has no last part")
	}
	if err != nil {
		return nil, err
	}
	return tree.NewDir(name, rd.attr(rr), list), nil
}

// node makes a node of a record; none of one that only keeps a directory which appears elsewhere.
func (rd *reader) node(r record, parts []tree.Range, depth int) (*tree.Node, error) {
	rr, err := rd.rockRidge(r)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q: %v", r.id, err)
	case rr.moved:
		return nil, nil
	case rr.child != 0:
		return rd.relocated(rr, depth)
	case !rr.posix:
		return nil, fmt.Errorf("%q: no Rock Ridge attributes", r.id)
	}
	isDir := r.flags&isDirectory != 0
	if isDir != (rr.mode&typeMask == typeDir) {
		return nil, fmt.Errorf("%q: mode %o, and flags %x", r.id, rr.mode, r.flags)
	}
	if isDir {
		n, err := rd.directory(rr.name, rr, r, depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s/%w", rr.name, err)
		}
		return n, nil
	}
	n, err := rd.leaf(rr, parts)
	if err != nil {
		return nil, fmt.Errorf("%s: %v", rr.name, err)
	}
	return n, nil
}

// relocated reads a directory that lies elsewhere because it would be too deep for ISO 9660 (RRIP 1.12, 4.1.5).
func (rd *reader) relocated(rr *rockRidge, depth int) (*tree.Node, error) {
	first, err := rd.own(record{start: rr.child, size: block})
	if err != nil {
		return nil, err
	}
	if first.start != rr.child {
		return nil, fmt.Errorf("the directory at block %d says that it is at %d", rr.child, first.start)
	}
	own, err := rd.rockRidge(first)
	if err != nil {
		return nil, err
	}
	return rd.directory(rr.name, own, first, depth+1)
}

// leaf makes a node of what is no directory.
func (rd *reader) leaf(rr *rockRidge, parts []tree.Range) (*tree.Node, error) {
	attr := rd.attr(rr)
	switch rr.mode & typeMask {
	case typeFile:
		c, err := rd.content(parts)
		if err != nil {
			return nil, err
		}
		return tree.NewFile(rr.name, attr, c), nil
	case typeSymlink:
		return tree.NewSymlink(rr.name, attr, rr.link.String()), nil
	case typeChar:
		return tree.NewDevice(rr.name, attr, tree.CharDevice, rr.device), nil
	case typeBlock:
		return tree.NewDevice(rr.name, attr, tree.BlockDevice, rr.device), nil
	case typeFifo:
		return tree.NewSpecial(rr.name, attr, tree.Fifo), nil
	case typeSocket:
		return tree.NewSpecial(rr.name, attr, tree.Socket), nil
	}
	return nil, fmt.Errorf("mode %o is of no kind of file", rr.mode)
}

// attr gives equal attributes one pointer.
func (rd *reader) attr(rr *rockRidge) *tree.Attr {
	key := attrKey{uint16(rr.mode & 0o7777), uint32(rr.uid), uint32(rr.gid), rr.mtime}
	if rd.attrs[key] == nil {
		rd.attrs[key] = &tree.Attr{Mode: key.mode, UID: key.uid, GID: key.gid, Mtime: tree.Time{Sec: key.mtime}}
	}
	return rd.attrs[key]
}

type attrKey struct {
	mode     uint16
	uid, gid uint32
	mtime    int64
}

// A content is a file's content in an image, in one part or, beyond 4 GiB, in several (ECMA-119, 6.5.1).
type content struct {
	image io.ReaderAt
	parts []tree.Range
	size  int64
}

func (rd *reader) content(parts []tree.Range) (*content, error) {
	c := &content{image: rd.image, parts: parts}
	for i, p := range parts {
		if p.Len > 0 && p.Off > rd.size-p.Len {
			return nil, fmt.Errorf("%d bytes at %d of an image of %d", p.Len, p.Off, rd.size)
		}
		if i < len(parts)-1 && p.Len%block != 0 {
			return nil, fmt.Errorf("a part of %d bytes is followed by another", p.Len)
		}
		c.size += p.Len
	}
	return c, nil
}

// Size is the length in bytes.
func (c *content) Size() int64 { return c.size }

// Parts are where the content lies in the image.
func (c *content) Parts() []tree.Range { return c.parts }

// Open costs nothing.
func (c *content) Open() (tree.Reader, error) { return contentReader{c}, nil }

type contentReader struct{ *content }

// ReadAt implements io.ReaderAt.
func (c contentReader) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for _, part := range c.parts {
		if off >= part.Len {
			off -= part.Len
			continue
		}
		n := min(int64(len(p)-done), part.Len-off)
		k, err := c.image.ReadAt(p[done:done+int(n)], part.Off+off)
		if done += k; int64(k) < n {
			return done, err
		}
		off = 0
		if done == len(p) {
			return done, nil
		}
	}
	return done, io.EOF
}

// Close implements io.Closer.
func (contentReader) Close() error { return nil }
