package restore

import (
	"imprint/internal/extent"
	"imprint/internal/tree"
)

// mostOpen is the number of blobs that a reader keeps open.
const mostOpen = 16

// A reader reads a disk part by part, and keeps the blobs open that it reads from: the next part has those of the last one.
type reader struct{ open map[tree.Blob]tree.Reader }

// read fills p with the bytes of the disk from off on.
func (r *reader) read(source extent.Source, p []byte, off int64) error {
	clear(p)
	end := off + int64(len(p))
	for e := range source.Extents(off) {
		if e.Off >= end {
			break
		}
		e = e.Cut(off, end)
		blob, err := r.take(e.Blob)
		if err != nil {
			return err
		}
		if err := tree.ReadFull(blob, e.Blob, p[e.Off-off:e.End()-off], e.At); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) take(b tree.Blob) (tree.Reader, error) {
	if open := r.open[b]; open != nil {
		return open, nil
	}
	if len(r.open) >= mostOpen {
		r.close()
	}
	open, err := b.Open()
	if err == nil {
		r.open[b] = open
	}
	return open, err
}

// close closes all blobs. They are only read, so that there is nothing to report.
func (r *reader) close() {
	for b, open := range r.open {
		open.Close()
		delete(r.open, b)
	}
}
