package extent

import (
	"sync"

	"imprint/internal/tree"
)

// ReadAt fills p with the bytes of the region from off on: those of the extents, and zeros between them. A blob that ends before its
// extent is an error that matches [tree.ErrChanged].
func ReadAt(s Source, p []byte, off int64) error {
	var last lastReader
	defer last.Close()
	return last.readAt(s, p, off)
}

// A lastReader keeps the blob that was read last open, since a caller that reads a region part by part returns to it. It is safe for concurrent
// use; then all but one goroutine open the blob for themselves.
type lastReader struct {
	mu     sync.Mutex
	blob   tree.Blob
	reader tree.Reader // nil while somebody uses it
}

// readAt is ReadAt.
func (l *lastReader) readAt(s Source, p []byte, off int64) error {
	clear(p)
	end := off + int64(len(p))
	for e := range s.Extents(off) {
		if e.Off >= end {
			break
		}
		e = e.Cut(off, end)
		if err := l.readBlob(e.Blob, p[e.Off-off:e.End()-off], e.At); err != nil {
			return err
		}
	}
	return nil
}

func (l *lastReader) readBlob(b tree.Blob, p []byte, at int64) error {
	r, err := l.take(b)
	if err != nil {
		return err
	}
	defer l.put(b, r)
	return tree.ReadFull(r, b, p, at)
}

// take returns a reader of b for the caller alone.
func (l *lastReader) take(b tree.Blob) (tree.Reader, error) {
	l.mu.Lock()
	r := l.reader
	if r != nil && l.blob == b {
		l.reader = nil
		l.mu.Unlock()
		return r, nil
	}
	l.mu.Unlock()
	return b.Open()
}

// put keeps a reader and closes the one that was kept. They only read, so that closing has nothing to report.
func (l *lastReader) put(b tree.Blob, r tree.Reader) {
	l.mu.Lock()
	r, l.reader, l.blob = l.reader, r, b
	l.mu.Unlock()
	if r != nil {
		r.Close()
	}
}

// Close closes the reader that is kept.
func (l *lastReader) Close() error {
	if l.reader == nil {
		return nil
	}
	return l.reader.Close()
}
