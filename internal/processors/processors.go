// Package processors counts processors, and keeps reads that wait for a disk from blocking them.
package processors

import (
	"runtime"
	"sync/atomic"
)

var count atomic.Int64

// Count returns the number of processors that the program may use, and so of workers that keep them all busy.
func Count() int {
	if n := count.Load(); n > 0 {
		return int(n)
	}
	return runtime.GOMAXPROCS(0)
}

// Use makes n what Count returns, and returns a function that undoes it.
func Use(n int) (undo func()) {
	before := count.Swap(int64(n))
	return func() { count.Store(before) }
}

// spare is the minimum number of goroutines that can run besides one for each processor: enough for all readers of a cold
// cache.
const spare = 8

// Spread sets GOMAXPROCS above the number of processors, which Count still returns. When a thread waits in a system call, the
// runtime takes tens of microseconds to pass its slot to another. Reading cold sources is thousands of short waits, and with
// one slot for each processor these would be idle half of the time.
func Spread() {
	n := runtime.GOMAXPROCS(0)
	count.Store(int64(n))
	runtime.GOMAXPROCS(n + max(n, spare))
}
