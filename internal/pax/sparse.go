package pax

import (
	"strconv"

	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// stored is how the content of a file is stored: as it is, or without its holes (GNU tar manual, "PAX Format, Version 1.0").
type stored struct {
	sparse bool
	table  string // of a sparse file: where its data lies, in decimal numbers
	size   int64  // of everything after the header, bytes
	data   []tree.Range
}

// recordsSize is what the records of a sparse file take at least, in bytes.
const recordsSize = 2 * blockSize

// mostRanges is the number of ranges that a table may have, so that its length, at most 40 bytes for each, fits into 31 bits.
const mostRanges = 1 << 24

// storedOf returns how a content is stored; with sparse, its holes are omitted if that makes the archive smaller.
func storedOf(b tree.Blob, sparse bool) stored {
	s := stored{size: b.Size(), data: wholeBlocks(tree.DataOf(b), b.Size())}
	if !sparse || len(s.data) > mostRanges || len(s.data) == 1 && s.data[0].Len == s.size {
		return s
	}
	p := stored{sparse: true, table: tableOf(s.data, s.size), data: s.data}
	p.size = units.Align(int64(len(p.table)), blockSize)
	for _, r := range s.data { // of which only the last may end within a block
		p.size += r.Len
	}
	if p.size+recordsSize >= s.size {
		return s
	}
	return p
}

// wholeBlocks extends ranges to whole blocks, and joins those that touch then.
func wholeBlocks(data []tree.Range, size int64) (list []tree.Range) {
	for _, r := range data {
		from, to := r.Off/blockSize*blockSize, min(size, units.Align(r.End(), blockSize))
		if k := len(list) - 1; k >= 0 && from <= list[k].End() {
			list[k].Len = max(to, list[k].End()) - list[k].Off
		} else if from < to {
			list = append(list, tree.Range{Off: from, Len: to - from})
		}
	}
	return list
}

// tableOf returns the number of ranges, and offset and length of each. A hole at the end is an empty range there.
func tableOf(data []tree.Range, size int64) string {
	if k := len(data) - 1; k < 0 || data[k].End() < size {
		data = append(data[:len(data):len(data)], tree.Range{Off: size})
	}
	b := strconv.AppendInt(nil, int64(len(data)), 10)
	for _, r := range data {
		b = strconv.AppendInt(append(b, '\n'), r.Off, 10)
		b = strconv.AppendInt(append(b, '\n'), r.Len, 10)
	}
	return string(append(b, '\n'))
}

// name returns the name in the header. Programs that do not know sparse files see another one than that of the file, so that they do not
// overwrite it with its packed form.
func (s *stored) name(name string) string {
	if !s.sparse {
		return name
	}
	at := len(name)
	for at > 0 && name[at-1] != '/' {
		at--
	}
	return name[:at] + "GNUSparseFile.0/" + name[at:]
}

// place appends the extents of a content that is stored at an offset of the archive, after the table.
func (s *stored) place(list []extent.Extent, b tree.Blob, at int64) []extent.Extent {
	for _, r := range s.data {
		e := extent.Extent{Off: at + r.Off, Len: r.Len, Blob: b, At: r.Off}
		if s.sparse {
			e.Off = at
			at += r.Len
		}
		list = append(list, e)
	}
	return list
}
