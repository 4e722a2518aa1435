package stream

import (
	"context"
	"sync"
	"time"

	"imprint/internal/processors"

	"golang.org/x/sys/unix"
)

// Most is how many workers there are at the very most. A cold cache is read fastest with many more readers than processors.
const Most = 12

// pause is how often the crew looks at whether the processors are busy.
const pause = 8 * time.Millisecond

// coldBlocks is how many sectors of 512 bytes are read from disks in a pause when the sources are cold: 16 MB/s. Fewer may be the
// directories and bitmaps of the file system that is written to.
const coldBlocks = 256

// warmPauses is for how many pauses in turn nothing may have come from a disk until the sources count as warm again.
const warmPauses = 16

// A crew starts workers and lets them go.
type crew struct {
	start   func()
	dismiss func()     // one of them, when it has done its job
	left    func() int // jobs that nobody has begun
}

// staff starts a worker for each processor, and further ones while the sources come from a disk, processors are idle and jobs are
// left. When the sources are warm again these go: too many windows fit no processor's cache. It returns when all workers have ended.
func (c crew) staff(ctx context.Context, all *sync.WaitGroup) {
	n := processors.Count()
	for range n {
		c.start()
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	before, warm := usage(), 0
	for last := n; ; {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		now := usage()
		cold := now.blocks-before.blocks >= coldBlocks
		waiting := cold && now.cpu-before.cpu < pause*time.Duration(n)*6/10
		before, warm = now, warm+1
		if cold {
			warm = 0
		}
		switch {
		case waiting && last < Most && c.left() > 0 && ctx.Err() == nil:
			c.start()
			last++
		case warm > warmPauses && last > n:
			c.dismiss()
			last--
		}
	}
}

// used is what this process has used so far.
type used struct {
	cpu    time.Duration
	blocks int64 // read from disks
}

func usage() used {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return used{}
	}
	return used{time.Duration(u.Utime.Nano() + u.Stime.Nano()), u.Inblock}
}
