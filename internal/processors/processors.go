// Package processors says how many processors the program may use, and keeps reads that wait for a disk from holding them.
package processors

import (
	"runtime"
	"sync/atomic"
)

var count atomic.Int64

// Count is how many processors the program may use at a time: as many workers as this keep all of them busy.
func Count() int {
	if n := count.Load(); n > 0 {
		return int(n)
	}
	return runtime.GOMAXPROCS(0)
}

// spare is how many goroutines more than processors the runtime can run at the least: enough for all readers of a cold cache.
const spare = 8

// Spread returns the runtime more places to run goroutines than there are processors. It takes a place back from a thread that waits in
// a system call only when tens of microseconds have passed. Cold sources are thousands of short waits, and with one place for each
// processor these would idle for half of the time.
func Spread() {
	n := runtime.GOMAXPROCS(0)
	count.Store(int64(n))
	runtime.GOMAXPROCS(n + max(n, spare))
}
