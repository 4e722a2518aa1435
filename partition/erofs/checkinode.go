package erofs

import (
	"fmt"
	"slices"

	"imprint/internal/fault"
	"imprint/internal/span"
	"imprint/internal/tree"
	"imprint/internal/units"
)

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// nonZero returns the index of the first byte that is not zero, -1 if there is none.
func nonZero(b []byte) int { return slices.IndexFunc(b, func(c byte) bool { return c != 0 }) }

// Fields of the two forms of an inode (struct erofs_inode_compact, erofs_inode_extended).
var (
	inodeHead     = []span.Field{{Len: 2, Name: "i_format"}, {Len: 2, Name: "i_xattr_icount"}, {Len: 2, Name: "i_mode"}}
	compactFields = span.Row(append(slices.Clone(inodeHead), span.Field{Len: 2, Name: "i_nlink"}, span.Field{Len: 4, Name: "i_size"},
		span.Field{Len: 4, Name: "i_reserved"}, span.Field{Len: 4, Name: "i_u"}, span.Field{Len: 4, Name: "i_ino"}, span.Field{Len: 2, Name: "i_uid"},
		span.Field{Len: 2, Name: "i_gid"}, span.Field{Len: 4, Name: "i_reserved2"})...)
	extendedFields = span.Row(append(slices.Clone(inodeHead), span.Field{Len: 2, Name: "i_reserved"}, span.Field{Len: 8, Name: "i_size"},
		span.Field{Len: 4, Name: "i_u"}, span.Field{Len: 4, Name: "i_ino"}, span.Field{Len: 4, Name: "i_uid"}, span.Field{Len: 4, Name: "i_gid"},
		span.Field{Len: 8, Name: "i_mtime"}, span.Field{Len: 4, Name: "i_mtime_nsec"}, span.Field{Len: 4, Name: "i_nlink"},
		span.Field{Len: 16, Name: "i_reserved2"})...)
)

// fields are those of the inode's form.
func (n inode) fields() span.Map[string] {
	if n.extended {
		return extendedFields
	}
	return compactFields
}

// field is the offset of a field of an inode in the image.
func (n *audited) field(name string) int64 { return n.at + span.Offset(n.fields(), name) }

func (n *audited) String() string { return fmt.Sprintf("inode %d", n.nid) }

// visit returns the inode of a nid, which it reads the first time; nil if it cannot be read.
func (a *audit) visit(name string, nid, parent uint64, depth int) *audited {
	if n := a.found[nid]; n != nil {
		return n
	}
	if a.spent() {
		return nil
	}
	end, in, err := a.inode(nid)
	n := &audited{inode: in, nid: nid, parent: parent, name: name, at: end - in.bytes(), depth: depth}
	if err != nil {
		n.at = int64(a.super.metaBlock)*blockSize + int64(nid)*slotSize
		a.entryFault(n, err)
		return nil
	}
	a.found[nid] = n
	a.spans.Add(n.at, n.bytes(), piece{use: inodeUse, of: n})
	kind, ok := kindOf(n.mode)
	if !ok {
		a.fault(n.field("i_mode"), n, n.String(), fmt.Sprintf("i_mode 0%o has no known type", n.mode))
		return n
	}
	n.kind = kind
	a.reserved(n)
	a.number(n)
	a.place(n, a.attributes(n, end))
	return n
}

// entryFault reports why an inode cannot be read, at the path of the entry that names it.
func (a *audit) entryFault(n *audited, err error) {
	if a.report == nil || a.spent() {
		return
	}
	path := "/"
	if up := a.found[n.parent]; up != nil && n.nid != n.parent {
		path = tree.Join(a.path(up), n.name)
	}
	a.report(fault.Fault{Offset: n.at, Path: path, Object: n.String(), Text: err.Error()})
}

// reserved checks that reserved bytes are zero.
func (a *audit) reserved(n *audited) {
	b := make([]byte, n.bytes())
	if err := readFull(a.image, b, n.at); err != nil {
		a.fault(n.at, n, n.String(), err.Error())
		return
	}
	for _, name := range []string{"i_reserved", "i_reserved2"} {
		f, _ := n.fields().At(span.Offset(n.fields(), name))
		if at := nonZero(b[f.Off:f.End()]); at >= 0 {
			a.fault(n.at+f.Off+int64(at), n, n.String(), fault.Mismatch(name, fmt.Sprintf("%x", b[f.Off:f.End()]), 0))
		}
	}
}

// number checks that no two inodes have the same i_ino: 32-bit programs would take them for one file.
func (a *audit) number(n *audited) {
	if other, ok := a.numbers[n.number]; ok {
		a.fault(n.field("i_ino"), n, n.String(), fmt.Sprintf("i_ino is %d, which inode %d has too", n.number, other))
	}
	a.numbers[n.number] = n.nid
}

// place finds the content of an inode whose attributes end at end.
func (a *audit) place(n *audited, end int64) {
	switch n.kind {
	case tree.CharDevice, tree.BlockDevice, tree.Fifo, tree.Socket:
		a.special(n)
		return
	}
	s, err := a.content(n.inode, end)
	if err != nil {
		a.fault(n.field("i_size"), n, n.String(), err.Error())
		return
	}
	n.content = s
	body := units.Blocks(s.size-s.tail, blockSize) * blockSize
	if body == 0 && n.u != 0 && n.u != noBlock {
		a.fault(n.field("i_u"), n, n.String(), fmt.Sprintf("i_u is %d, but no content is in blocks", n.u))
	}
	a.spans.Add(s.tailAt, s.tail, piece{use: tailUse, of: n, from: s.size - s.tail})
	a.addBlocks(n, body)
	switch n.kind {
	case tree.Symlink:
		if target, err := a.target(s); err != nil {
			a.fault(s.place(0), n, "symlink target", err.Error())
		} else if at := nonZero(a.rest(n)); at >= 0 {
			a.fault(s.place(0)+int64(len(target)+at), n, "symlink target", "is followed by bytes that are not zero")
		}
	case tree.Dir:
		a.queue = append(a.queue, n)
	}
}

// noBlock is the i_u that mkfs.erofs writes for content without blocks, where this package writes 0.
const noBlock = 0xffffffff

// special checks an inode without content.
func (a *audit) special(n *audited) {
	if n.size != 0 {
		a.fault(n.field("i_size"), n, n.String(), fault.Mismatch("i_size", n.size, 0))
	}
	if (n.kind == tree.Fifo || n.kind == tree.Socket) && n.u != 0 && n.u != noBlock {
		a.fault(n.field("i_u"), n, n.String(), fault.Mismatch("i_u", n.u, 0))
	}
	if n.layout != flatPlain && n.layout != flatInline {
		a.fault(n.field("i_format"), n, n.String(), fmt.Sprintf("layout %d is not expected of a %v", n.layout, n.kind))
	}
}

// addBlocks records the blocks of a content. Files may share blocks from their first one on, since writers store equal contents once;
// they count as one piece, as long as the longest of them.
func (a *audit) addBlocks(n *audited, size int64) {
	at := n.content.at
	if i, shared := a.blocks[at]; shared && n.kind == tree.File && a.spans[i].What.of.kind == tree.File {
		a.spans[i].Len = max(a.spans[i].Len, size)
		if a.spans[i].Len == size {
			a.spans[i].What.of = n
		}
		return
	}
	if size > 0 {
		a.blocks[at] = len(a.spans)
	}
	a.spans.Add(at, size, piece{use: blockUse, of: n})
}

// rest returns the bytes after a content in its last block, nil if the content ends in a tail: another inode may follow that.
func (a *audit) rest(n *audited) []byte {
	s := n.content
	if s.tail > 0 || s.size%blockSize == 0 {
		return nil
	}
	b := make([]byte, blockSize-s.size%blockSize)
	if readFull(a.image, b, s.at+s.size) != nil {
		return nil
	}
	return b
}

// links compares link counts with the names that were found. Inode numbers count inodes or names, from 0 or from 1, so that none is
// larger than the number of names.
func (a *audit) links() {
	names := uint64(1)
	for _, n := range a.found {
		names += uint64(n.names)
	}
	for _, s := range a.spans {
		n := s.What.of
		if s.What.use != inodeUse {
			continue
		}
		want := n.names
		if n.kind == tree.Dir {
			want = 2 + n.subdirs
		}
		if n.inode.links != want {
			a.fault(n.field("i_nlink"), n, n.String(), fault.Mismatch("i_nlink", n.inode.links, want))
		}
		if uint64(n.number) > names {
			a.fault(n.field("i_ino"), n, n.String(), fmt.Sprintf("i_ino is %d, and there are %d names", n.number, names))
		}
	}
}
