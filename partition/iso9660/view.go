package iso9660

import "imprint/internal/tree"

// A view is a volume: that of the whole disk, or that of the ISO's own partition, which has its own descriptors, path tables and
// directories, shares the files, and counts blocks from the start of the partition.
type view struct {
	*Plan
	shift     int64 // block of the disk where the volume begins
	pathTable int64 // first block of both path tables
	dirBase   int64 // block of the first directory
}

// size returns the number of blocks. The volume of the whole disk includes the ESP, that of the partition does not.
func (v view) size() int64 {
	if v.shift == 0 {
		return v.end
	}
	return v.blocks - v.shift
}

// dirStart returns the block of a directory as the volume counts.
func (v view) dirStart(d *dir) int64 { return v.dirBase + int64(d.at) - v.shift }

// record returns the record of one section of a node, without identifier and system use field.
func (v view) record(n *tree.Node, section int32) record {
	inode := n.Inode()
	r := record{date: shortDate(inode.Attr.Mtime.Sec)}
	switch inode.Kind() {
	case tree.Dir:
		d := v.dir(int32(inode.ID()))
		r.start, r.size, r.flags = v.dirStart(d), d.size(), isDirectory
	case tree.File:
		r.size = inode.Size() - int64(section)*maxSection
		if r.size > maxSection {
			r.size, r.flags = maxSection, hasMore
		}
		if r.size > 0 { // the block of an empty file is 0, so that it does not depend on other files
			r.start = v.fileStart(inode.ID()) + int64(section)*(maxSection/block) - v.shift
		}
	}
	return r
}

// A dirWriter generates blocks of directories.
type dirWriter struct {
	view
	splitter
	d  *dir
	id []byte
}

// putDirBlock writes a block of the directories, counted from the first one's, into zeros.
func (v view) putDirBlock(b []byte, at int64) {
	d := v.dirAt(at)
	w := dirWriter{view: v, splitter: splitter{content: v.content, buf: make([]byte, 0, 2*maxEntry)}, d: d, id: make([]byte, 0, maxRecord)}
	if i := uint32(at) - d.at; i < d.blocks {
		w.putRecords(b, d.markOf(v.marks, i, 0))
	} else {
		w.putAreas(b, int(i-d.blocks), d.markOf(v.marks, i-d.blocks, d.blocks-1))
	}
}

// markOf returns the mark of block i of records or, after skip marks, of continuation areas.
func (d *dir) markOf(marks []mark, i, skip uint32) mark {
	if i == 0 {
		return mark{}
	}
	return marks[d.marks+skip+i-1]
}

// entry puts the identifier of entry i, which names n, in place, and splits its system use entries.
func (w *dirWriter) entry(i int32, n *tree.Node, more uint32) (inside []byte, areas []area) {
	switch i {
	case 0:
		w.id = append(w.id[:0], selfID...)
	case 1:
		w.id = append(w.id[:0], parentID...)
	default:
		w.id = w.ident(n).appendIdentifier(w.id[:0], n.Kind() == tree.Dir)
	}
	return w.split(w.d, i, n, headSize(len(w.id)), int(more))
}

// appendCE adds the CE entry that leads to an area.
func (w *dirWriter) appendCE(b []byte, a area) []byte {
	first := w.dirStart(w.d) + int64(w.d.blocks)
	return appendCE(b, uint32(first+int64(a.off/block)), uint32(a.off%block), uint32(a.size))
}

// putRecords writes a block of records that begins at a mark.
func (w *dirWriter) putRecords(b []byte, m mark) {
	used := 0
	// All records of an entry have the same system use field, which is made once. A record that does not fit ends the block, and the next
	// block begins with it.
	for i, section := m.entry, m.section; i < w.d.children+firstChild; i, section = i+1, 0 {
		n := w.entryNode(w.d, i)
		use, areas := w.entry(i, n, m.more)
		if areas != nil {
			m.more = uint32(areas[len(areas)-1].end())
			use = w.appendCE(use[:len(use):len(use)], areas[0])
		}
		for ; section < sections(n); section++ {
			r := w.record(n, section)
			r.id, r.use = w.id, use
			if used+even(headSize(len(r.id))+len(r.use)) > block {
				return
			}
			used += r.put(b[used:])
		}
	}
}

// putAreas writes block j of the continuation areas. Its mark names the first entry, whose first areas may be in earlier blocks.
func (w *dirWriter) putAreas(b []byte, j int, m mark) {
	for i := m.entry; i < w.d.children+firstChild; i++ {
		_, areas := w.entry(i, w.entryNode(w.d, i), m.more)
		for k, a := range areas {
			if a.off/block != j {
				continue
			}
			at := b[a.off%block:]
			n := copy(at, a.entries)
			if k+1 < len(areas) {
				w.appendCE(at[:n], areas[k+1])
			}
		}
		if len(areas) > 0 {
			if areas[0].off/block > j {
				return
			}
			m.more = uint32(areas[len(areas)-1].end())
		}
	}
}
