package fat

import (
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

// lastLong is set in the Ord of a name's last part, which comes first.
const lastLong = 0x40

// lastTime is the last time that FAT can store, 2107-12-31 23:59:58, in seconds since 1970.
const lastTime = 4354819198

// A dirEntry is an entry with a short name ("FAT Directory Structure"), with the names of fields that the specification gives them, less
// the prefix DIR_. It is [slotSize] bytes, as is a longEntry.
type dirEntry struct {
	Name         short
	Attr         uint8
	NTRes        uint8
	CrtTimeTenth uint8
	CrtTime      uint16
	CrtDate      uint16
	LstAccDate   uint16
	FstClusHI    uint16 // the number of the first cluster, 0 of an empty file
	WrtTime      uint16
	WrtDate      uint16
	FstClusLO    uint16
	FileSize     uint32 // bytes, 0 for directories
}

// newEntry returns an entry whose times of change, creation and last access are mtime, in seconds since 1970.
func newEntry(name short, attr uint8, mtime int64) dirEntry {
	date, clock := dosTime(mtime)
	return dirEntry{Name: name, Attr: attr, CrtTime: clock, CrtDate: date, LstAccDate: date, WrtTime: clock, WrtDate: date}
}

func (e *dirEntry) setCluster(c uint32) { e.FstClusHI, e.FstClusLO = uint16(c>>16), uint16(c) }

// A longEntry is 13 UTF-16 units of a long name ("FAT Long Directory Entries"), with the names of fields less the prefix LDIR_.
type longEntry struct {
	Ord       uint8 // which part of the name, from 1 on
	Name1     [5]uint16
	Attr      uint8
	Type      uint8
	Chksum    uint8 // of the short name
	Name2     [6]uint16
	FstClusLO uint16
	Name3     [2]uint16
}

// dosTime is a time as FAT stores it, in UTC and steps of two seconds ("Date and Time Formats"). Times outside of its range are clamped.
func dosTime(sec int64) (date, clock uint16) {
	t := time.Unix(min(max(sec, repro.FATEpoch), lastTime), 0).UTC()
	date = uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day())
	clock = uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2)
	return date, clock
}

// checksum is the checksum in the parts of a long name, by which readers find that the short name was changed since ("FAT Long Directory
// Entries").
func (s short) checksum() byte {
	var sum byte
	for _, c := range s {
		sum = sum>>1 | sum<<7
		sum += c
	}
	return sum
}

// appendLong appends the entries of a long name, last part first, which go before the entry of its short name. If the last part is not full,
// the name ends with a zero and the rest is 0xffff.
func appendLong(b []byte, name string, alias short) []byte {
	text := utf16.Encode([]rune(name))
	parts := (len(text) + longUnits - 1) / longUnits
	if len(text)%longUnits != 0 {
		text = append(text, 0)
	}
	for len(text)%longUnits != 0 {
		text = append(text, 0xffff)
	}
	e := longEntry{Attr: attrLong, Chksum: alias.checksum()}
	for i := parts - 1; i >= 0; i-- {
		e.Ord = uint8(i + 1)
		if i == parts-1 {
			e.Ord |= lastLong
		}
		part := text[i*longUnits:]
		copy(e.Name1[:], part)
		copy(e.Name2[:], part[5:])
		copy(e.Name3[:], part[11:])
		b = encode(b, &e)
	}
	return b
}

// directory encodes all entries of a directory.
func (p *Plan) directory(dir *tree.Node) []byte {
	b := make([]byte, 0, p.length(dir))
	add := func(e dirEntry) { b = encode(b, &e) }
	if dir == p.tree.Root() {
		if p.opts.Label != "" {
			add(newEntry(labelName(p.opts.Label), attrVolume, p.opts.Epoch))
		}
	} else {
		add(p.entry(newShort(".", ""), dir))
		up := p.entry(newShort("..", ""), p.parent(dir))
		if p.parent(dir) == p.tree.Root() {
			up.setCluster(0) // ".." of a directory in the root is always 0, even in FAT32, where the root has a cluster
		}
		add(up)
	}
	kids := dir.Children()
	for i, alias := range aliases(kids) {
		if !isShort(kids[i].Name) {
			b = appendLong(b, kids[i].Name, alias)
		}
		add(p.entry(alias, kids[i]))
	}
	return b
}

// entry is the directory entry of a node.
func (p *Plan) entry(name short, n *tree.Node) dirEntry {
	attr := uint8(attrArchive)
	if n.Kind() == tree.Dir {
		attr = attrDir
	}
	e := newEntry(name, attr, n.Inode().Attr.Mtime.Sec)
	e.setCluster(p.start[n.ID()])
	if n.Kind() != tree.Dir {
		e.FileSize = uint32(n.Inode().Size())
	}
	return e
}

// parent is the directory that n is in. Since IDs are in the order of Walk, a binary search at each level leads to it.
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
