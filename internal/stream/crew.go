package stream

import (
	"context"
	"time"

	"imprint/internal/processors"

	"golang.org/x/sys/unix"
)

// Most is the largest number of workers. A cold cache is read fastest with many more readers than processors, since each read waits for the
// disk; but every worker has a window of 4 MiB, and few disks gain from still more of them.
const Most = 12

// pause is the interval at which the number of workers is reconsidered: short compared with a build of a second, and long enough for the
// kernel's counts of processor time, which may go in steps of 4 ms.
const pause = 8 * time.Millisecond

// coldBlocks is the number of sectors of 512 bytes, read from disks in a pause, from which on the sources count as cold: 16 MB/s. Fewer may be
// the directories and bitmaps of the file system that is written to.
const coldBlocks = 256

// busyTenths is the part of the processors' time in a pause, in tenths, from which on they count as busy, so that further workers would only take
// time from the others. It is above 5, the load of two processors of which one always waits for a disk.
const busyTenths = 6

// warmPauses is the number of successive pauses without reads from a disk after which the sources count as warm again: a cold build has such
// pauses too, while it uses up what the kernel has read ahead.
const warmPauses = 16

// A crew is the number of workers, and the state of the sources. It is a value: after returns the next one.
type crew struct {
	processors int
	workers    int
	distant    bool // a network counts as a cold disk
	warm       int  // successive pauses without reads from a disk
}

// used has the resources that the process has used.
type used struct {
	cpu    time.Duration // of all processors together
	blocks int64         // of 512 bytes, read from disks
}

// after returns the crew after a pause, given the resources used in it and the number of jobs not begun. It has one worker more while the
// sources come from a disk or a network, the processors wait for it, and there is a job for the worker; and one fewer, down to the number of processors, once
// the sources are warm again: too many windows do not fit into a processor's cache.
func (c crew) after(u used, left int) crew {
	cold := c.distant || u.blocks >= coldBlocks
	waiting := u.cpu < pause*time.Duration(c.processors)*busyTenths/10
	c.warm++
	if cold {
		c.warm = 0
	}
	switch {
	case cold && waiting && left > 0 && c.workers < Most:
		c.workers++
	case c.warm > warmPauses && c.workers > c.processors:
		c.workers--
	}
	return c
}

// staff starts a worker for each processor, then starts and dismisses workers as the crew changes. It returns when all have ended.
func (s *schedule) staff(ctx context.Context) {
	c := crew{processors: processors.Count(), workers: processors.Count(), distant: s.disk.Distant}
	start := func() { s.workers.Go(func() { s.work(ctx) }) }
	for range c.workers {
		start()
	}
	ended := make(chan struct{})
	go func() { s.workers.Wait(); close(ended) }()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for before := usage(); ; {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		now, left := usage(), s.left()
		if ctx.Err() != nil {
			left = 0
		}
		next := c.after(used{now.cpu - before.cpu, now.blocks - before.blocks}, left)
		switch {
		case next.workers > c.workers:
			start()
		case next.workers < c.workers:
			s.dismissed.Add(1)
		}
		c, before = next, now
	}
}

// usage returns the resources that this process has used since it started; zero if the kernel does not report them.
func usage() used {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return used{}
	}
	return used{time.Duration(u.Utime.Nano() + u.Stime.Nano()), u.Inblock}
}
