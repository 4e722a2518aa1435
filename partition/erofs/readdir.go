package erofs

import (
	"bytes"
	"fmt"

	"imprint/internal/fault"
	"imprint/internal/tree"
)

// dir reads a directory and everything below it.
func (r *reader) dir(name string, content *stored, nid, parent uint64, depth int) ([]*tree.Node, error) {
	if r.omit.Enter(name) {
		return nil, nil
	}
	defer r.omit.Leave()
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d directories are nested", maxDepth)
	}
	d := dirReader{reader: r, nid: nid, parent: parent, depth: depth}
	for at := int64(0); at < content.size; at += blockSize {
		b, err := r.part(content, at)
		if err != nil {
			return nil, err
		}
		if err := d.block(b); err != nil {
			return nil, err
		}
	}
	if d.dots != 2 {
		return nil, fmt.Errorf("has %d of the names \".\" and \"..\"", d.dots)
	}
	return d.kids, nil
}

// A dirReader reads one directory.
type dirReader struct {
	*reader
	nid, parent uint64
	depth       int
	last        string
	dots        int
	kids        []*tree.Node
}

// block reads the entries of a block.
func (d *dirReader) block(b []byte) error {
	return eachDirent(b, func(e dirent) error { return d.entry(e.name, e.nid, e.code) })
}

// A dirent is a directory entry (struct erofs_dirent) with its name. Offsets are in bytes of its block.
type dirent struct {
	at       int // offset of the entry
	from, to int // range of the name, with the zeros after it
	nid      uint64
	code     uint8 // type
	reserved uint8
	name     string
}

// eachDirent calls do for the entries of a block. Their number is not stored: they end where the first name begins.
func eachDirent(b []byte, do func(dirent) error) error {
	if len(b) < direntSize {
		return fmt.Errorf("directory block of %d bytes has no room for an entry", len(b))
	}
	end := int(le.Uint16(b[8:]))
	if end == 0 || end%direntSize != 0 || end >= len(b) {
		return fmt.Errorf("directory block of %d bytes has its first name at %d", len(b), end)
	}
	for at := 0; at < end; at += direntSize {
		from, to := int(le.Uint16(b[at+8:])), len(b)
		if at+direntSize < end {
			to = int(le.Uint16(b[at+direntSize+8:]))
		}
		if from < end || from >= to || to > len(b) {
			return fmt.Errorf("directory block of %d bytes has a name from %d to %d", len(b), from, to)
		}
		name, _, _ := bytes.Cut(b[from:to], []byte{0})
		if err := do(dirent{at, from, to, le.Uint64(b[at:]), b[at+10], b[at+11], string(name)}); err != nil {
			return err
		}
	}
	return nil
}

// entry reads the node that a name leads to. Names must be in order, since the kernel looks them up by bisection.
func (d *dirReader) entry(name string, nid uint64, code uint8) error {
	if name <= d.last {
		return fmt.Errorf("name %q comes after %q", name, d.last)
	}
	d.last = name
	switch name {
	case ".":
		return d.dot(name, nid, d.nid)
	case "..":
		return d.dot(name, nid, d.parent)
	}
	if err := tree.CheckName(name); err != nil {
		return err
	}
	n, err := d.node(name, nid, d.nid, d.depth+1)
	if err != nil {
		return fault.Below(name, err)
	}
	if kind := n.Inode().Kind(); code != kindCodes[kind].entry {
		return fault.Below(name, fmt.Errorf("the directory says type %d, the inode is a %v", code, kind))
	}
	d.kids = append(d.kids, n)
	return nil
}

// dot checks one of the two names that every directory has.
func (d *dirReader) dot(name string, nid, want uint64) error {
	if nid != want {
		return fmt.Errorf("name %q leads to inode %d, not %d", name, nid, want)
	}
	d.dots++
	return nil
}
