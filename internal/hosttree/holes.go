package hosttree

import (
	"golang.org/x/sys/unix"

	"imprint/internal/tree"
)

// A sparseFile is a file with holes.
type sparseFile struct {
	file
	data []tree.Range
}

// Data implements tree.SparseBlob.
func (f *sparseFile) Data() []tree.Range { return f.data }

// blob is the content of the file that was just looked at.
func (w *worker) blob(sc *scan, p place) (tree.Blob, error) {
	f := file{dir: p.dir, name: p.name, size: int64(w.st.Size)}
	if sc.Holes && int64(w.st.Blocks)*512 < f.size {
		return sparse(f, p)
	}
	if len(w.slab) == cap(w.slab) {
		w.slab = make([]file, 0, 128)
	}
	w.slab = append(w.slab, f)
	return &w.slab[len(w.slab)-1], nil
}

// sparse asks for the holes of a file.
func sparse(f file, p place) (tree.Blob, error) {
	fd, _, err := openat(p.fd, p.ref, p.dir.flags()|unix.O_NOFOLLOW)
	if err != nil {
		return nil, p.error("open", err)
	}
	defer unix.Close(fd)
	data, err := dataRanges(fd, f.size)
	if err != nil {
		return nil, p.error("seek", err)
	}
	return &sparseFile{f, data}, nil
}

// dataRanges gives the parts of a file that are not holes.
func dataRanges(fd int, size int64) ([]tree.Range, error) {
	var ranges []tree.Range
	for end := int64(0); end < size; {
		off, err := unix.Seek(fd, end, unix.SEEK_DATA)
		if err == unix.ENXIO || err == nil && off >= size {
			break
		}
		if err != nil {
			return nil, err
		}
		if end, err = unix.Seek(fd, off, unix.SEEK_HOLE); err != nil {
			return nil, err
		}
		end = min(end, size)
		ranges = append(ranges, tree.Range{Off: off, Len: end - off})
	}
	return ranges, nil
}
