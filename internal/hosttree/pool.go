package hosttree

import (
	"sync"
	"sync/atomic"

	"imprint/internal/tree"
)

// A scan is one call of Read.
type scan struct {
	*Scanner
	pending sync.WaitGroup // tasks
	top     *tree.Node
	omitted atomic.Bool // something was left out, whose place among the nodes of its directory is nil
	err     atomic.Pointer[error]
}

// fail keeps the first error of the scan.
func (sc *scan) fail(err error) { sc.err.CompareAndSwap(nil, &err) }

// A task is a directory to read, or a batch of the entries of an open one.
type task struct {
	scan  *scan
	dir   *dir
	out   **tree.Node // where the directory's node goes
	from  *descriptor // the parent directory, if it is still open
	batch *listing    // nil for a directory
	lo    int         // the first entry of the batch
}

// A pool is the tasks of a Scanner, and the goroutines that do them, which end when there are none left.
type pool struct {
	mu    sync.Mutex
	queue []task // a stack: reading what was found last first keeps few directories open
	alive int
	held  atomic.Int32 // descriptors that are open for tasks
}

// push adds tasks and starts workers for them, except for the number that the caller itself will do.
func (s *Scanner) push(tasks []task, doing int) {
	s.mu.Lock()
	s.queue = append(s.queue, tasks...)
	start := max(0, min(len(tasks)-doing, s.Workers-s.alive))
	s.alive += start
	s.mu.Unlock()
	for range start {
		go s.work()
	}
}

// pop returns a task, or false when there is none; the worker then ends.
func (s *Scanner) pop() (task, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.queue) - 1
	if last < 0 {
		s.alive--
		return task{}, false
	}
	t := s.queue[last]
	s.queue[last] = task{}
	s.queue = s.queue[:last]
	return t, true
}

// work does tasks until there are none left. A worker that ends is not missed: push starts a new one.
func (s *Scanner) work() {
	w := workers.Get().(*worker)
	defer workers.Put(w)
	for {
		t, ok := s.pop()
		if !ok {
			return
		}
		w.do(t)
	}
}

// do does a task, unless its scan has failed already.
func (w *worker) do(t task) {
	defer t.scan.pending.Done()
	defer t.from.release(t.scan.Scanner)
	if t.scan.err.Load() != nil {
		return
	}
	var err error
	if t.batch != nil {
		err = w.fill(t.batch, t.lo)
	} else {
		err = w.read(t)
	}
	if err != nil {
		t.scan.fail(err)
	}
}
