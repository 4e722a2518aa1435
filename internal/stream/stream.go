// Package stream carries a layout out: workers read every source once and write it at its final places in one file, while hashes of
// what passes by are taken. It knows blobs, offsets and pieces, but no file system and no store.
//
// Work comes as jobs, the most expensive first, and a job runs on one worker from start to end: workers never wait for each other.
// A worker gathers what it reads in a window of one piece of the disk and writes that in large runs, so that thousands of small files
// become a few writes. There are as many workers as processors while the sources come out of the page cache; when the processors
// turn out to be idle, because a cold cache makes every reader wait for the disk, more workers are started.
package stream

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"imprint/internal/extent"
	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// A Place is a part of a blob and where it goes: Len bytes at Off of the disk, from At of the blob on.
type Place = extent.Extent

// A Job is work for one worker. Run reads sources through the worker, which knows where their contents go.
type Job struct {
	Cost int64 // about the time it takes, in bytes read; see FileCost
	Run  func(ctx context.Context, w *Worker) error
}

// FileCost is what opening a file costs, as the number of bytes that can be moved in that time.
const FileCost = 24 << 10

// A Disk is the file that jobs write to, made for one Run.
type Disk struct {
	File   *os.File
	Size   int64        // bytes
	Digest *Pieces      // nil when no digest is wanted
	Bytes  atomic.Int64 // written so far, for those who show progress

	stopped  atomic.Bool // by an error or from outside: workers end at the next piece
	unshared atomic.Bool // the host's file systems do not share extents
}

// Run carries out all jobs. The first error ends it; jobs that are not begun by then are not run.
func (d *Disk) Run(ctx context.Context, jobs []Job) error {
	jobs = slices.Clone(jobs)
	slices.SortStableFunc(jobs, func(a, b Job) int { return cmp.Compare(b.Cost, a.Cost) })
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	context.AfterFunc(ctx, func() { d.stopped.Store(true) })
	var next, dismissed atomic.Int64
	var all sync.WaitGroup
	work := func() {
		w, err := newWorker(d)
		if err != nil {
			cancel(err)
			return
		}
		defer w.end()
		for {
			k := int(next.Add(1)) - 1
			if k >= len(jobs) || ctx.Err() != nil {
				return
			}
			if err := w.run(ctx, jobs[k]); err != nil {
				cancel(err)
				return
			}
			if n := dismissed.Load(); n > 0 && dismissed.CompareAndSwap(n, n-1) {
				return
			}
		}
	}
	crew{start: func() { all.Go(work) }, dismiss: func() { dismissed.Add(1) }, left: func() int { return len(jobs) - int(next.Load()) }}.staff(ctx, &all)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// A Worker moves contents for the job that it runs.
type Worker struct {
	disk    *Disk
	window  window
	scratch []byte // for contents that go nowhere but into a hash
}

// newWorker makes a worker, whose window lies outside of the heap: with many workers the collector would take what they need for what
// lives, and let as much garbage lie.
func newWorker(d *Disk) (*Worker, error) {
	buf, err := unix.Mmap(-1, 0, PieceSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("get memory for a worker: %w", err)
	}
	return &Worker{disk: d, window: window{disk: d, buf: buf}}, nil
}

func (w *Worker) end() { unix.Munmap(w.window.buf) }

func (w *Worker) run(ctx context.Context, j Job) error {
	if err := j.Run(ctx, w); err != nil {
		return err
	}
	return w.window.flush()
}

// Copy reads a blob once, writes it to all its places, and feeds all of its bytes in order to hash unless that is nil. first holds
// the places of one region, in the order of the blob and disjoint; more holds further ones, each for itself. grain is the size in
// bytes of the blocks of first's region: the rest of a last block belongs to nobody else and is filled with zeros.
func (w *Worker) Copy(b tree.Blob, first, more []Place, grain int64, hash io.Writer) error {
	if hash == nil && len(first) == 0 && len(more) == 0 {
		return nil
	}
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	c := copying{w: w, blob: b, reader: r, hash: hash, more: more, grain: grain}
	return c.all(first)
}

// Fill writes extents that are generated: in order of their offsets, none of them read from a host file.
func (w *Worker) Fill(list []Place, grain int64) error {
	for _, e := range list {
		r, err := e.Blob.Open()
		if err != nil {
			return err
		}
		err = w.window.put(e.Off, e.Len, grain, generated{r, e.Blob, e.At})
		r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// generated feeds bytes that no host file has.
type generated struct {
	from io.ReaderAt
	blob tree.Blob
	at   int64
}

func (generated) share(int64, int64, int64) bool { return false }
func (g generated) read(p []byte, done int64) error {
	return tree.ReadFull(g.from, g.blob, p, g.at+done)
}
func (generated) wanted() bool { return true }
func (generated) skip(int64)   {}
