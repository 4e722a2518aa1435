package hosttree

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// maxHeld is the number of directories that a Scanner keeps open for those below them that wait to be read; directories below any other are
// opened by their paths. It is well below the usual limit of 1024 descriptors.
const maxHeld = 256

// A descriptor is an open directory. It is closed when its last user releases it.
type descriptor struct {
	fd   int
	held bool // counted in pool.held: tasks may use it
	refs atomic.Int32
}

// newDescriptor takes over an open directory, which is kept for tasks if there are not too many already.
func newDescriptor(s *Scanner, fd int) *descriptor {
	d := &descriptor{fd: fd, held: s.held.Add(1) <= maxHeld}
	if !d.held {
		s.held.Add(-1)
	}
	d.refs.Store(1)
	return d
}

// share returns the descriptor for n tasks, each of which releases it, or nil if it will not stay open for them.
func (d *descriptor) share(tasks int) *descriptor {
	if !d.held {
		return nil
	}
	d.refs.Add(int32(tasks))
	return d
}

// release may be called on nil.
func (d *descriptor) release(s *Scanner) {
	if d == nil || d.refs.Add(-1) > 0 {
		return
	}
	unix.Close(d.fd)
	if d.held {
		s.held.Add(-1)
	}
}
