// Package stream writes a layout to a file: workers read every source once, hash it and write it to its final places. It knows blobs and
// offsets, but no file system and no store.
//
// Work comes as jobs, which start in the order of their cost, and a job runs on one worker from start to end: workers never wait for each
// other. A worker gathers what it reads in a window on one piece of the disk and writes that in large runs, so that thousands of small files
// become a few writes. There are as many workers as processors while the sources come from the page cache; if the processors are idle,
// because a cold cache makes every reader wait for the disk, or a network does, more workers are started.
package stream

import (
	"cmp"
	"context"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"imprint/internal/direct"
)

// A Job is work for one worker. Run reads sources through the worker, with the places of their contents.
type Job struct {
	Cost int64 // an estimate of its time, in bytes read; see [FileCost]

	// Where pieces are passed on, jobs run in the order of At, the lowest offset of the disk that they write to, so that pieces are complete
	// about in their order. Scattered jobs, which write a little of many pieces, come first, so that others complete them.
	At        int64
	Scattered bool
	Run       func(ctx context.Context, w *Worker) error
}

// FileCost is the cost of opening and closing a file, as the number of bytes that are read, hashed and written in that time: about 25 µs at
// 1 GB/s.
const FileCost = 24 << 10

// A Disk is what jobs write to, in one or several calls of Run: one file, or several, each of which has a range of the offsets.
type Disk struct {
	Volume
	Beside []*Volume    // further ones, in the order of their offsets
	Bytes  atomic.Int64 // written so far, for a progress display

	// Distant says that sources come from a network, which several workers wait for.
	Distant bool

	ferry   *ferry      // while jobs run; nil if nothing is written directly
	stopped atomic.Bool // by an error or from outside: workers end at the next piece
}

// A Volume is a file that has the offsets [Start, Start+Size) of a disk.
type Volume struct {
	File   *os.File
	Start  int64   // a multiple of PieceSize
	Size   int64   // bytes
	Digest *Pieces // nil when nobody wants to know of pieces
	// Scratch says that the file is only where the parts of pieces meet: what a window has of a whole piece goes to Digest alone.
	Scratch bool
	// Direct has the blocks of the file, to write past the page cache; nil if that is not wanted. It needs a Digest, which knows what
	// belongs together.
	Direct *direct.Blocks

	unshared atomic.Bool // the host's file systems do not share extents
}

// At returns the volume that an offset lies in.
func (d *Disk) At(off int64) *Volume {
	for _, v := range slices.Backward(d.Beside) {
		if v.Start <= off {
			return v
		}
	}
	return &d.Volume
}

// Expect announces that n bytes at off will be written, once. All ranges must be announced before the first write.
func (d *Disk) Expect(off, n int64) {
	if v := d.At(off); v.Digest != nil {
		v.Digest.Expect(off-v.Start, n)
	}
}

// Made counts a range that is now in the file, whoever wrote it.
func (d *Disk) Made(off, n int64) error {
	v := d.At(off)
	if v.Digest == nil {
		return nil
	}
	return v.Digest.Made(off-v.Start, n, v.File)
}

// passes reports whether pieces are passed on.
func (d *Disk) passes() bool {
	return d.passed() || slices.ContainsFunc(d.Beside, (*Volume).passed)
}

func (v *Volume) passed() bool { return v.Digest != nil && v.Digest.Take != nil }

// Run carries out all jobs. The first error ends it; jobs that have not begun by then are not run.
func (d *Disk) Run(ctx context.Context, jobs []Job) error {
	jobs = slices.Clone(jobs)
	sortJobs(jobs, d.passes())
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { d.stopped.Store(true) })() // before cancel, since another Run may follow
	ferry, err := newFerry(d, cancel)
	if err != nil {
		return err
	}
	d.ferry = ferry
	s := &schedule{disk: d, jobs: jobs, fail: cancel}
	s.staff(ctx)
	ferry.end()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// hugeJob is the cost from which on a job is begun early in any case, so that no worker is left with it.
const hugeJob = 128 << 20

// sortJobs puts the jobs in the order in which they begin: the most expensive first. If pieces are passed on, scattered ones come first, then
// huge ones, and the others in the order of the disk.
func sortJobs(jobs []Job, passed bool) {
	rank := func(j Job) int64 {
		switch {
		case !passed:
			return j.Cost
		case j.Scattered:
			return math.MaxInt64
		case j.Cost >= hugeJob:
			return j.Cost
		}
		return 0
	}
	slices.SortStableFunc(jobs, func(a, b Job) int {
		if c := cmp.Compare(rank(b), rank(a)); c != 0 || !passed {
			return c
		}
		return cmp.Compare(a.At, b.At)
	})
}

// A schedule is the jobs of one call of [Disk.Run], and their progress.
type schedule struct {
	disk      *Disk
	jobs      []Job
	fail      func(error)
	workers   sync.WaitGroup
	next      atomic.Int64 // index of the job that the next free worker takes
	dismissed atomic.Int64 // number of workers that should end after their job
}

// left returns the number of jobs that have not begun.
func (s *schedule) left() int { return len(s.jobs) - int(s.next.Load()) }

// work runs jobs on a worker until none is left, one fails, or the worker is dismissed.
func (s *schedule) work(ctx context.Context) {
	w, err := newWorker(s.disk)
	if err != nil {
		s.fail(err)
		return
	}
	defer w.end()
	for {
		k := int(s.next.Add(1)) - 1
		if k >= len(s.jobs) || ctx.Err() != nil {
			return
		}
		if err := w.run(ctx, s.jobs[k]); err != nil {
			s.fail(err)
			return
		}
		if n := s.dismissed.Load(); n > 0 && s.dismissed.CompareAndSwap(n, n-1) {
			return
		}
	}
}
