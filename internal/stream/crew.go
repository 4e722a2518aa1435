package stream

import (
	"context"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Most is how many workers there are at the very most. A cold cache is read fastest with many more readers than processors.
const Most = 16

// pause is how often the crew looks at whether the processors are busy.
const pause = 8 * time.Millisecond

// A crew starts workers.
type crew struct {
	start func()
	left  func() int // jobs that nobody has begun
}

// staff starts a worker for each processor, and further ones while processors are idle and jobs are left. It returns when all
// workers have ended.
func (c crew) staff(ctx context.Context, all *sync.WaitGroup) {
	n := runtime.GOMAXPROCS(0)
	for range n {
		c.start()
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	used := cpuTime()
	for last := n; ; {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		now := cpuTime()
		idle := now-used < pause*time.Duration(n)*6/10
		used = now
		if idle && last < Most && c.left() > 0 && ctx.Err() == nil {
			c.start()
			last++
		}
	}
}

// cpuTime is the processor time that this process has used.
func cpuTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
