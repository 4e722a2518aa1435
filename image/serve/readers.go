package serve

import (
	"sync"

	"imprint/internal/tree"
)

// maxIdle is the number of idle readers that are kept open.
const maxIdle = 64

// readers caches the readers that were used last. A reader is used by one goroutine at a time.
type readers struct {
	mu   sync.Mutex
	idle []idleReader // the most recently used at the end
}

type idleReader struct {
	blob   tree.Blob
	reader tree.Reader
}

// take returns a reader of b for the exclusive use of the caller.
func (r *readers) take(b tree.Blob) (tree.Reader, error) {
	r.mu.Lock()
	for i, one := range r.idle {
		if one.blob == b {
			r.idle = append(r.idle[:i], r.idle[i+1:]...)
			r.mu.Unlock()
			return one.reader, nil
		}
	}
	r.mu.Unlock()
	return b.Open()
}

// put returns a reader to the cache. Errors of closing one are ignored, since nothing was written.
func (r *readers) put(b tree.Blob, one tree.Reader) {
	r.mu.Lock()
	r.idle = append(r.idle, idleReader{b, one})
	var old tree.Reader
	if len(r.idle) > maxIdle {
		old = r.idle[0].reader
		r.idle = append(r.idle[:0], r.idle[1:]...)
	}
	r.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

func (r *readers) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.idle {
		one.reader.Close()
	}
	r.idle = nil
}
