// Package processors counts the processors that the program may use, and keeps reads that wait for a disk from blocking them.
package processors

import (
	"runtime"
	"sync/atomic"
)

var count atomic.Int64

// Count is how many processors the program may use at a time, and so how many workers keep all of them busy.
func Count() int {
	if n := count.Load(); n > 0 {
		return int(n)
	}
	return runtime.GOMAXPROCS(0)
}

// spare is how many more goroutines than processors can at least run at a time: enough for all readers of a cold cache.
const spare = 8

// Spread sets GOMAXPROCS above the number of processors, which Count still returns. The runtime takes the slot of a thread that waits in a
// system call away from it only after tens of microseconds. Reading cold sources is thousands of short waits, and with one slot for each
// processor these would be idle half of the time.
func Spread() {
	n := runtime.GOMAXPROCS(0)
	count.Store(int64(n))
	runtime.GOMAXPROCS(n + max(n, spare))
}
