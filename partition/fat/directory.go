package fat

import (
	"encoding/binary"
	"sort"
	"time"
	"unicode/utf16"

	"imprint/internal/repro"
	"imprint/internal/tree"
)

// Attributes of a directory entry ("FAT Directory Structure").
const (
	attrVolume  = 0x08
	attrDir     = 0x10
	attrArchive = 0x20 // as every system sets it on a new file
	attrLong    = 0x0f
)

// lastTime is the last even second that a date tells, 2107-12-31 23:59:58.
const lastTime = 4354819198

// An entry is what a directory entry of 32 bytes tells beside a long name.
type entry struct {
	name    short
	attr    byte
	mtime   int64  // seconds since 1970
	cluster uint32 // the first, 0 for an empty file
	size    uint32 // bytes, 0 for directories
}

// append encodes the entry. What the file was made and read at is what it was changed at.
func (e entry) append(b []byte) []byte {
	date, clock := dosTime(e.mtime)
	le := binary.LittleEndian
	b = append(b, e.name[:]...)
	b = append(b, e.attr, 0, 0)
	b = le.AppendUint16(b, clock) // made
	b = le.AppendUint16(b, date)
	b = le.AppendUint16(b, date) // read
	b = le.AppendUint16(b, uint16(e.cluster>>16))
	b = le.AppendUint16(b, clock) // changed
	b = le.AppendUint16(b, date)
	b = le.AppendUint16(b, uint16(e.cluster))
	return le.AppendUint32(b, e.size)
}

// dosTime is a point in time as FAT tells it, in UTC and even seconds ("Date and Time Formats").
func dosTime(sec int64) (date, clock uint16) {
	t := time.Unix(min(max(sec, repro.FATEpoch), lastTime), 0).UTC()
	date = uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day())
	clock = uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2)
	return date, clock
}

// checksum ties the parts of a long name to its short name ("FAT Long Directory Entries").
func (s short) checksum() byte {
	var sum byte
	for _, c := range s {
		sum = sum>>1 | sum<<7
		sum += c
	}
	return sum
}

// appendLong encodes a long name for the entry of that short name, which follows: its last part first, ended by a zero
// and filled with 0xffff where there is room.
func appendLong(b []byte, name string, alias short) []byte {
	text := utf16.Encode([]rune(name))
	parts := (len(text) + longUnits - 1) / longUnits
	if len(text)%longUnits != 0 {
		text = append(text, 0)
	}
	for len(text)%longUnits != 0 {
		text = append(text, 0xffff)
	}
	le, sum := binary.LittleEndian, alias.checksum()
	for i := parts - 1; i >= 0; i-- {
		order := byte(i + 1)
		if i == parts-1 {
			order |= 0x40
		}
		part := text[i*longUnits:]
		b = append(b, order)
		for j, u := range part[:longUnits] {
			switch j {
			case 5:
				b = append(b, attrLong, 0, sum)
			case 11:
				b = append(b, 0, 0)
			}
			b = le.AppendUint16(b, u)
		}
	}
	return b
}

// directory encodes all entries of a directory.
func (p *Plan) directory(dir *tree.Node) []byte {
	b := make([]byte, 0, p.length(dir))
	if dir == p.tree.Root() {
		if p.opts.Label != "" {
			b = entry{name: labelName(p.opts.Label), attr: attrVolume, mtime: p.opts.Epoch}.append(b)
		}
	} else {
		b = p.entry(newShort(".", ""), dir).append(b)
		up := p.entry(newShort("..", ""), p.parent(dir))
		if p.parent(dir) == p.tree.Root() {
			up.cluster = 0 // even in FAT32, where the root has a cluster
		}
		b = up.append(b)
	}
	kids := dir.Children()
	for i, alias := range aliases(kids) {
		if !isShort(kids[i].Name) {
			b = appendLong(b, kids[i].Name, alias)
		}
		b = p.entry(alias, kids[i]).append(b)
	}
	return b
}

// entry is the directory entry of a node.
func (p *Plan) entry(name short, n *tree.Node) entry {
	e := entry{name: name, attr: attrArchive, mtime: n.Inode().Attr.Mtime.Sec}
	if p.start[n.ID()+1] > p.start[n.ID()] {
		e.cluster = p.start[n.ID()]
	}
	if n.Kind() == tree.Dir {
		e.attr = attrDir
	} else {
		e.size = uint32(n.Inode().Size())
	}
	return e
}

// parent is the directory that holds n. In the order of Walk it is found from the root down by the numbers of the nodes.
func (p *Plan) parent(n *tree.Node) *tree.Node {
	for dir := p.tree.Root(); ; {
		kids := dir.Children()
		next := kids[sort.Search(len(kids), func(i int) bool { return kids[i].ID() > n.ID() })-1]
		if next == n {
			return dir
		}
		dir = next
	}
}
