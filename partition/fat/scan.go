package fat

import (
	"fmt"

	"imprint/internal/fault"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// A scan reads all directories of a volume. A strict one builds the tree, follows the chains of directories only, and ends at the first fault
// that hides a part of the tree. Any other also follows the chains of files, records the owner of each cluster, and goes on after a fault.
type scan struct {
	*geometry
	table   *table
	strict  bool
	err     error // why a strict scan ended
	report  fault.Report
	files   []pending
	objects []object // in the order in which they were found; the root is the first
	owners  owners
	attrs   map[plainAttr]*tree.Attr
	label   *item // in the root directory
}

// An object is a directory or a file.
type object struct {
	parent int32
	name   string
	dir    bool
	first  uint32 // cluster, 0 for none
	size   int64  // bytes; of a directory, those of its clusters
	held   int64  // clusters that it was given
}

// Bounds on directories: Linux takes paths of 4095 bytes, and an entry is addressed with 16 bits ("FAT Directory Structure").
const (
	maxDepth    = 2048
	maxDirBytes = 65536 * slotSize
)

func newScan(g *geometry, strict bool, report fault.Report) *scan {
	return &scan{geometry: g, table: g.active(), strict: strict, report: report, owners: owners{}, attrs: map[plainAttr]*tree.Attr{}}
}

// root scans the volume and returns the tree.
func (s *scan) root() (*tree.Tree, error) {
	first := s.more.RootClus
	s.objects = append(s.objects, object{name: "", dir: true, first: first})
	places := []tree.Range{{Off: s.geometry.root, Len: s.rootSize}}
	if s.bits == 32 {
		places, _ = s.claim(link{at: s.fieldAt("RootClus"), object: "boot sector, RootClus"}, 0, first, maxDirBytes/s.cluster)
	}
	kids := s.directory(0, places, 0, 0)
	if s.err != nil {
		return nil, s.err
	}
	for _, f := range s.files {
		s.file(f.from, f.id)
	}
	when := repro.FATEpoch
	if s.label != nil {
		when = s.attr(s.label).Mtime.Sec
	}
	b := tree.NewBuilder(&tree.Attr{Mode: 0o755, Mtime: tree.Time{Sec: when}})
	if err := b.Add("/", tree.NewDir("", nil, kids), ""); err != nil {
		return nil, err
	}
	return b.Tree()
}

// path returns the path of an object.
func (s *scan) path(id int32) string {
	return fault.Path(func(yield func(string) bool) {
		for id := id; id > 0 && yield(s.objects[id].name); id = s.objects[id].parent {
		}
	})
}

// fault reports a fault that leaves the tree as it is.
func (s *scan) fault(at int64, id int32, object, text string) {
	if s.report != nil {
		s.report(fault.Fault{Offset: at, Path: s.path(id), Object: object, Text: text})
	}
}

// hides reports a fault that hides a part of the tree.
func (s *scan) hides(at int64, id int32, object, text string) {
	if s.strict && s.err == nil {
		s.err = fmt.Errorf("%s: %s: %s", s.path(id), object, text)
	}
	s.fault(at, id, object, text)
}

// A link is a place that has the number of a cluster: its offset, and the object that it belongs to.
type link struct {
	at     int64
	object string // "" for the entry of a FAT
	of     uint32 // number of that entry
}

func (l link) String() string {
	if l.object == "" {
		return fmt.Sprintf("FAT entry %d", l.of)
	}
	return l.object
}

// claim follows a chain of at most most clusters, assigns them to an object and returns their ranges. whole is false if the chain is damaged,
// which is reported; the clusters before the damage count.
func (s *scan) claim(from link, id int32, c uint32, most int64) (list []tree.Range, whole bool) {
	wrong := func(text string) {
		if s.objects[id].dir {
			s.hides(from.at, id, from.String(), text)
		} else {
			s.fault(from.at, id, from.String(), text)
		}
	}
	if !s.has(c) {
		wrong(s.notACluster(c).Error())
		return nil, false
	}
	for n := int64(0); n < most; n++ {
		if other, taken := s.owners.of(c); taken {
			wrong(fmt.Sprintf("leads to cluster %d, which is one of %q already", c, s.path(other)))
			return list, false
		}
		s.owners.set(c, id)
		s.objects[id].held++
		list, from = s.extend(list, c), link{at: s.entryAt(c), of: c}
		next, more, err := s.table.next(c)
		if err != nil {
			wrong(err.Error())
			return list, false
		}
		if !more {
			return list, true
		}
		c = next
	}
	wrong(fmt.Sprintf("the chain continues after %d clusters, the limit", most))
	return list, false
}

// A pending is a file whose chain is followed after all directories are read, so that a cluster of both belongs to the directory.
type pending struct {
	from link
	id   int32
}

// file follows the chain of a file, and compares its length with the file's.
func (s *scan) file(from link, id int32) {
	o := s.objects[id]
	if o.first == 0 && o.size == 0 {
		return
	}
	list, whole := s.claim(from, id, o.first, s.clusters)
	has, needs := int64(0), units.Blocks(o.size, s.cluster)
	for _, r := range list {
		has += r.Len / s.cluster
	}
	if whole && has != needs || has > needs {
		s.fault(from.at, id, from.object, fmt.Sprintf("its chain has %d clusters, its %d bytes need %d", has, o.size, needs))
	}
}

// owners are the objects that have the clusters, by cluster in pages, so that only what is in use takes memory.
type owners map[uint32]*[4096]int32

func (o owners) of(c uint32) (id int32, taken bool) {
	page := o[c/4096]
	if page == nil || page[c%4096] == 0 {
		return 0, false
	}
	return page[c%4096] - 1, true
}

func (o owners) set(c uint32, id int32) {
	if o[c/4096] == nil {
		o[c/4096] = new([4096]int32)
	}
	o[c/4096][c%4096] = id + 1
}

// plainAttr is the attributes that a directory entry has.
type plainAttr struct {
	mode uint16
	sec  int64
}

// attr returns the attributes of an entry, from its read-only flag and the time of its last change.
func (s *scan) attr(it *item) *tree.Attr {
	p := plainAttr{mode: 0o644}
	p.sec, _ = parseTime(it.WrtDate, it.WrtTime)
	switch {
	case it.Attr&attrDir != 0:
		p.mode = 0o755
	case it.Attr&attrReadOnly != 0:
		p.mode = 0o444
	}
	if s.attrs[p] == nil {
		s.attrs[p] = &tree.Attr{Mode: p.mode, Mtime: tree.Time{Sec: p.sec}}
	}
	return s.attrs[p]
}
