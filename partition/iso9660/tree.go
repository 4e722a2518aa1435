package iso9660

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"imprint/internal/tree"
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
	n, err := rd.directory("", rr, root)
	if err != nil {
		return nil, fmt.Errorf("%s/: %v", strings.Join(rd.above, "/"), err)
	}
	b := tree.NewBuilder(n.Attr)
	if err := b.Add("/", n, "image"); err != nil {
		return nil, err
	}
	return b.Tree()
}

// directory returns the node of a directory with everything below it. After an error rd.above holds the names of the directories around it.
func (rd *reader) directory(name string, rr *rockRidge, dir record) (*tree.Node, error) {
	if len(rd.above) > maxDepth {
		return nil, fmt.Errorf("directories nest deeper than %d", maxDepth)
	}
	if rd.omit.Enter(name) {
		return tree.NewDir(name, rd.attr(rr), nil), nil
	}
	defer rd.omit.Leave()
	rd.above = append(rd.above, name)
	var list []*tree.Node
	var sections []tree.Range // of a file that has further records
	err := rd.records(dir, func(r record) error {
		if bytes.Equal(r.id, selfID) || bytes.Equal(r.id, parentID) || r.flags&isAssociated != 0 {
			return nil
		}
		if r.flags&isDirectory == 0 {
			sections = append(sections, tree.Range{Off: r.start * block, Len: r.size})
			if r.flags&hasMore != 0 {
				return nil
			}
		}
		n, err := rd.node(r, sections)
		if n != nil {
			list = append(list, n)
		}
		sections = nil
		return err
	})
	if err == nil && len(sections) > 0 {
		err = errors.New("a file has no last section")
	}
	if err != nil {
		return nil, err
	}
	rd.above = rd.above[:len(rd.above)-1]
	return tree.NewDir(name, rd.attr(rr), list), nil
}

// node returns the node of a record; nil for a record that only holds the place of a directory that appears elsewhere.
func (rd *reader) node(r record, sections []tree.Range) (*tree.Node, error) {
	rr, err := rd.rockRidge(r)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q: %v", r.id, err)
	case rr.moved:
		return nil, nil
	case rr.child != 0:
		return rd.relocated(rr)
	case !rr.posix:
		return nil, fmt.Errorf("%q: no Rock Ridge attributes", r.id)
	case rr.name == "":
		rr.name = plainName(r.id)
	}
	isDir := r.flags&isDirectory != 0
	if isDir != (rr.mode&typeMask == typeDir) {
		return nil, fmt.Errorf("%q: mode %o, and flags %x", r.id, rr.mode, r.flags)
	}
	if isDir {
		return rd.directory(rr.name, rr, r)
	}
	n, err := rd.leaf(rr, sections)
	if err != nil {
		return nil, fmt.Errorf("%q: %v", rr.name, err)
	}
	return n, nil
}

// plainName returns the name of an identifier, for a record without a Rock Ridge name.
func plainName(id []byte) string {
	name, _, _ := strings.Cut(string(id), version[:1])
	return strings.TrimSuffix(name, ".")
}

// relocated reads a directory that lies elsewhere, because ISO 9660 allows eight levels (RRIP 1.12, 4.1.5).
func (rd *reader) relocated(rr *rockRidge) (*tree.Node, error) {
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
	return rd.directory(rr.name, own, first)
}

// An inode is what all names of a file have in common.
type inode struct {
	serial int64
	attr   *tree.Attr
	mode   uint32
	start  int64 // byte of the first section
	size   int64
	target string
	device tree.Device
}

// leaf returns the node of anything but a directory, which may be a link to an earlier one.
func (rd *reader) leaf(rr *rockRidge, sections []tree.Range) (*tree.Node, error) {
	n, err := rd.unlinked(rr, sections)
	if err != nil || rd.linked == nil || rr.serial == 0 || rr.links < 2 {
		return n, err
	}
	key := inode{rr.serial, n.Attr, rr.mode, sections[0].Off, n.Size(), n.Target(), n.Device()}
	if first := rd.linked[key]; first != nil {
		return tree.NewLink(rr.name, first), nil
	}
	rd.linked[key] = n
	return n, nil
}

// unlinked returns the node of anything but a directory, without looking for links.
func (rd *reader) unlinked(rr *rockRidge, sections []tree.Range) (*tree.Node, error) {
	attr := rd.attr(rr)
	switch rr.mode & typeMask {
	case typeFile:
		c, err := rd.fileBlob(sections)
		if err != nil {
			return nil, err
		}
		return tree.NewFile(rr.name, attr, c), nil
	case typeSymlink:
		target, err := rr.link.target()
		if err != nil {
			return nil, err
		}
		return tree.NewSymlink(rr.name, attr, target), nil
	case typeChar:
		return tree.NewDevice(rr.name, attr, tree.CharDevice, rr.device), nil
	case typeBlock:
		return tree.NewDevice(rr.name, attr, tree.BlockDevice, rr.device), nil
	case typeFifo:
		return tree.NewSpecial(rr.name, attr, tree.Fifo), nil
	case typeSocket:
		return tree.NewSpecial(rr.name, attr, tree.Socket), nil
	}
	return nil, fmt.Errorf("mode %o is of an unknown type", rr.mode)
}

// attr returns the attributes of a record. Equal attributes share one pointer.
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
