package fat

import (
	"fmt"

	"imprint/internal/tree"
)

// A dirScan scans one directory.
type dirScan struct {
	*scan
	id     int32
	places []tree.Range // where its entries lie
	up     uint32       // first cluster of the directory above, 0 if that is the root
	depth  int
	dots   [2]bool // "." and ".." were found
	names  map[string]bool
	shorts map[short]bool
	kids   []*tree.Node
}

// directory scans the entries in places, and everything below them.
func (s *scan) directory(id int32, places []tree.Range, up uint32, depth int) []*tree.Node {
	d := dirScan{scan: s, id: id, places: places, up: up, depth: depth, names: map[string]bool{}, shorts: map[short]bool{}}
	b, err := s.read(places)
	if err != nil {
		s.hides(-1, id, "directory", err.Error())
		return nil
	}
	items := parseDir(b, func(slot int, text string) { d.wrong(slot, text) })
	for i := range items {
		if d.item(&items[i]); s.err != nil {
			return nil
		}
	}
	if id != 0 && d.dots != [2]bool{true, true} {
		d.wrong(0, `"." and ".." are not the first two names`)
	}
	return d.kids
}

// read returns the bytes of a directory.
func (s *scan) read(places []tree.Range) ([]byte, error) {
	var b []byte
	for _, r := range places {
		b = append(b, make([]byte, r.Len)...)
		if err := readFull(s.image, b[int64(len(b))-r.Len:], r.Off); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// at returns the offset of an entry.
func (d *dirScan) at(slot int) int64 {
	off := int64(slot) * slotSize
	for _, r := range d.places {
		if off < r.Len {
			return r.Off + off
		}
		off -= r.Len
	}
	return -1
}

func slotName(slot int) string { return fmt.Sprintf("directory entry %d", slot) }

// wrong reports a fault of an entry.
func (d *dirScan) wrong(slot int, text string) {
	if d.report != nil {
		d.fault(d.at(slot), d.id, slotName(slot), text)
	}
}

// hidden reports a fault of an entry that leaves it out of the tree.
func (d *dirScan) hidden(it *item, text string) {
	d.hides(d.at(it.slot), d.id, slotName(it.slot), text)
}

// item takes an entry.
func (d *dirScan) item(it *item) {
	d.fields(it)
	switch {
	case it.Attr&attrVolume != 0:
		d.volume(it)
	case it.Name == newShort(".", "") && it.slot == 0 && d.id != 0:
		d.dot(it, 0, d.objects[d.id].first)
	case it.Name == newShort("..", "") && it.slot == 1 && d.id != 0:
		d.dot(it, 1, d.up)
	case it.Name == newShort(".", "") || it.Name == newShort("..", ""):
		d.wrong(it.slot, fmt.Sprintf("%q is not among the first two names", it.name))
	default:
		d.child(it)
	}
}

// volume takes a label, of which there may be one, in the root directory.
func (d *dirScan) volume(it *item) {
	switch {
	case d.id != 0:
		d.wrong(it.slot, "a volume label outside of the root directory")
	case d.label != nil:
		d.wrong(it.slot, "a second volume label")
	default:
		d.label = it
	}
}

// dot checks one of the two names that every directory but the root has.
func (d *dirScan) dot(it *item, i int, want uint32) {
	d.dots[i] = true
	got := it.cluster(d.bits)
	if it.Attr&attrDir == 0 {
		d.wrong(it.slot, fmt.Sprintf("%q is not a directory", it.name))
	}
	if got != want {
		d.wrong(it.slot, fmt.Sprintf("%q leads to cluster %d, %d is expected", it.name, got, want))
	}
}

// child takes a file or a directory.
func (d *dirScan) child(it *item) {
	if err := tree.CheckName(it.name); err != nil {
		d.hidden(it, err.Error())
		return
	}
	if !d.fresh(it) {
		return
	}
	id := int32(len(d.objects))
	o := object{parent: d.id, name: it.name, dir: it.Attr&attrDir != 0, first: it.cluster(d.bits), size: int64(it.FileSize)}
	d.objects = append(d.objects, o)
	from := link{at: d.at(it.slot), object: slotName(it.slot)}
	if o.dir {
		d.subdirectory(it, id, from)
		return
	}
	if !d.strict {
		d.files = append(d.files, pending{from, id})
	}
	d.kids = append(d.kids, tree.NewFile(it.name, d.attr(it), stored{d.table, o.first, o.size}))
}

// fresh checks that a name is not there already, as it is or in another case.
func (d *dirScan) fresh(it *item) bool {
	key := fold(it.name)
	switch {
	case d.names[it.name]:
		d.hidden(it, fmt.Sprintf("the name %q is there twice", it.name))
		return false
	case d.names["/"+key]: // no name has a slash
		d.wrong(it.slot, fmt.Sprintf("the name %q is there twice, in another case", it.name))
	case d.shorts[it.Name]:
		d.wrong(it.slot, fmt.Sprintf("the short name %q is there twice", it.Name[:]))
	}
	d.names[it.name], d.names["/"+key], d.shorts[it.Name] = true, true, true
	return true
}

// subdirectory takes a directory and all below it.
func (d *dirScan) subdirectory(it *item, id int32, from link) {
	if d.depth == maxDepth {
		d.hidden(it, fmt.Sprintf("more than %d directories are nested", maxDepth))
		return
	}
	places, _ := d.claim(from, id, it.cluster(d.bits), maxDirBytes/d.cluster)
	if len(places) == 0 {
		return
	}
	for _, r := range places {
		d.objects[id].size += r.Len
	}
	up := d.objects[d.id].first
	if d.id == 0 {
		up = 0
	}
	kids := d.directory(id, places, up, d.depth+1)
	d.kids = append(d.kids, tree.NewDir(it.name, d.attr(it), kids))
}
