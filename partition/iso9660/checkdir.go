package iso9660

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"strings"

	"imprint/internal/fault"
)

// tree checks the directories of a tree, parents first. The tree is that of ISO 9660 itself: a directory that Rock Ridge moved is where it
// was moved to.
func (a *audit) tree(t *auditTree) {
	at := t.at + pvdRoot
	r, err := parseRecord(t.d[pvdRoot:pvdVolumeSetID])
	if err != nil {
		a.fault(at, "", t.name, fmt.Sprintf("directory record of the root: %v", err))
		return
	}
	checkRecord(t.d[pvdRoot:pvdVolumeSetID], func(off int, text string) {
		a.fault(at+int64(off), "/", t.name, "directory record of the root: "+text)
	})
	t.skip = -1
	t.root = int32(len(a.dirs))
	if own, err := a.own(record{start: r.start + t.shift, size: r.size}); err == nil && !t.joliet {
		if t.skip, err = skipped(own.use); err != nil {
			a.fault((r.start+t.shift)*block, "/", "directory record 0", err.Error())
			t.skip = -1
		}
	}
	a.addDir(auditDir{tree: t, parent: t.root, at: at, start: r.start + t.shift, size: r.size, id: string(selfID)})
	for i := t.root; int(i) < len(a.dirs) && !a.full; i++ {
		a.directory(i)
	}
}

// addDir adds a directory to those to be checked. It must not have been found before.
func (a *audit) addDir(d auditDir) {
	t := d.tree
	if other, twice := t.byAt[d.start]; twice {
		a.fault(d.at, a.path(other), "directory record", fmt.Sprintf("leads to block %d, where a directory that has another name begins", d.start))
		return
	}
	if d.start*block > a.size-d.size || d.size == 0 || d.size%block != 0 {
		a.fault(d.at, a.path(d.parent), "directory record", fmt.Sprintf("%q: a directory of %d bytes at block %d of an image of %d bytes",
			d.id, d.size, d.start, a.size))
		return
	}
	t.byAt[d.start] = int32(len(a.dirs))
	a.dirs = append(a.dirs, d)
}

// path returns the path of a directory.
func (a *audit) path(id int32) string {
	return fault.Path(func(yield func(string) bool) {
		for id := id; int(id) < len(a.dirs) && a.dirs[id].parent != id && yield(a.dirs[id].name); id = a.dirs[id].parent {
		}
	})
}

func (a *audit) filePath(id int32) string {
	f := a.files[id]
	return strings.TrimSuffix(a.path(f.dir), "/") + "/" + f.name
}

// A dirAudit checks one directory.
type dirAudit struct {
	*audit
	id       int32
	count    int      // records so far
	at       int64    // offset of the record
	raw      []byte   // the record
	sections []record // of a file that goes on
	buf      []byte
}

// directory checks the records of a directory.
func (a *audit) directory(id int32) {
	d := &dirAudit{audit: a, id: id}
	start, size := a.dirs[id].start, a.dirs[id].size
	if !a.use(start*block, size, claim{use: dirUse, id: id}) {
		return
	}
	b := make([]byte, block)
	for off := int64(0); off < size; off += block {
		if err := a.read(b, start*block+off); err != nil {
			d.wrong(start*block+off, err.Error())
			return
		}
		d.block(b, start*block+off)
	}
	if len(d.sections) > 0 {
		d.wrong(d.at, "a file has no last section")
	}
	if d.count < 2 {
		d.wrong(start*block, "the records of the directory and of its parent are missing")
	}
}

func (d *dirAudit) wrong(at int64, text string) {
	if d.report != nil {
		d.fault(at, d.path(d.id), fmt.Sprintf("directory record %d", d.count), text)
	}
}

// block checks the records of a block, and that zeros fill its rest.
func (d *dirAudit) block(b []byte, at int64) {
	for off := 0; off < block; {
		n := int(b[off])
		if n == 0 {
			if i := bytes.IndexFunc(b[off:], func(r rune) bool { return r != 0 }); i >= 0 {
				d.wrong(at+int64(off+i), "bytes after the last record of a block are not zero")
			}
			return
		}
		if off+n > block {
			d.wrong(at+int64(off), fmt.Sprintf("%d bytes where %d are left", n, block-off))
			return
		}
		d.at, d.raw = at+int64(off), b[off:off+n]
		d.record()
		d.count++
		off += n
	}
}

// record checks a record, and records the directory or section of a file that it leads to.
func (d *dirAudit) record() {
	if len(d.raw) < recordHeader+1 || recordHeader+int(d.raw[recordIDLength]) > len(d.raw) || len(d.raw)%2 != 0 {
		d.wrong(d.at, fmt.Sprintf("%d bytes with an identifier of %d", len(d.raw), d.raw[min(recordIDLength, len(d.raw)-1)]))
		return
	}
	checkRecord(d.raw, func(off int, text string) { d.wrong(d.at+int64(off), text) })
	r, err := parseRecord(d.raw)
	if err != nil {
		if !strings.Contains(err.Error(), "byte order") { // which is reported already
			d.wrong(d.at, err.Error())
		}
		return
	}
	t := d.dirs[d.id].tree
	use := d.systemUse(r, t)
	r.start += t.shift
	d.mark(t, r, use)
	switch {
	case d.count == 0:
		d.self(r, use)
	case d.count == 1:
		d.up(r)
	default:
		d.child(r, use)
	}
}

var hashSeed = maphash.MakeSeed()

// mark records what must be equal in another tree of the same files: all of a record but blocks of directories and of continuation areas.
func (d *dirAudit) mark(t *auditTree, r record, use *useAudit) {
	b := d.buf[:0]
	if r.flags&isDirectory == 0 && r.size > 0 {
		b = binary.LittleEndian.AppendUint64(b, uint64(r.start))
	}
	b = append(binary.LittleEndian.AppendUint64(b, uint64(r.size)), r.flags)
	b = append(append(append(b, r.date[:]...), r.id...), 0)
	d.buf = append(b, use.all...)
	t.marks = append(t.marks, recordMark{d.at, d.id, maphash.Bytes(hashSeed, d.buf)})
}

// self checks the record of the directory itself against the one that names it.
func (d *dirAudit) self(r record, use *useAudit) {
	dir := &d.dirs[d.id]
	d.same("the directory's own record", r, selfID, *dir)
	dir.own, dir.ownAt = use.px, d.at
}

// up checks the record of the parent. In the Joliet trees of libisofs it leads to the directory itself.
func (d *dirAudit) up(r record) {
	dir := d.dirs[d.id]
	if !dir.tree.joliet || r.start != dir.start {
		d.same("the record of the directory above", r, parentID, d.dirs[dir.parent])
	}
}

func (d *dirAudit) same(what string, r record, id []byte, of auditDir) {
	switch {
	case !bytes.Equal(r.id, id):
		d.wrong(d.at, fmt.Sprintf("%s has the identifier %q", what, r.id))
	case r.start != of.start:
		d.wrong(d.at, fmt.Sprintf("%s leads to block %d, %d is expected", what, r.start, of.start))
	case r.size != of.size:
		d.wrong(d.at, fmt.Sprintf("%s has %d bytes, %d are expected", what, r.size, of.size))
	case r.flags&isDirectory == 0:
		d.wrong(d.at, what+" is not that of a directory")
	}
}
