package stream

import (
	"errors"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// directWindows is the number of windows that may be on their way to the disk.
const directWindows = 6

// directBlock is the unit in bytes of offsets and lengths of direct writes: at least the block size of all disks that there are, and a page, so that
// no page of the cache has a part of what is written directly.
var directBlock = max(4096, int64(os.Getpagesize()))

// leastDirect is the length in bytes from which on a window is written directly. A short write keeps the disk waiting as long as a long one.
const leastDirect = 256 << 10

// A ferry takes windows to the disk past the page cache (O_DIRECT) while workers fill others. Copying into the page cache takes about as long as
// hashing, and several times as long where the kernel has to ask a hypervisor for the memory. Windows do not wait for the disk: if as many as may
// be are on their way, the disk is the slower part, and the page cache takes the rest.
type ferry struct {
	spare  chan []byte // windows that nobody uses
	writes sync.WaitGroup
	fail   func(error)
}

// newFerry makes the ferry of a run of jobs; nil if none of the disk's files is written directly.
func newFerry(d *Disk, fail func(error)) (*ferry, error) {
	if d.Direct == nil {
		return nil, nil
	}
	f := &ferry{spare: make(chan []byte, directWindows), fail: fail}
	for range directWindows {
		buf, err := newBuffer()
		if err != nil {
			f.end()
			return nil, err
		}
		f.spare <- buf
	}
	return f, nil
}

// end waits until everything is written.
func (f *ferry) end() {
	if f == nil {
		return
	}
	f.writes.Wait()
	for close(f.spare); ; {
		buf, ok := <-f.spare
		if !ok {
			return
		}
		unix.Munmap(buf)
	}
}

// exchange returns an empty window for one that is to be written; nil if it has to be written by the caller.
func (f *ferry) exchange() []byte {
	if f == nil {
		return nil
	}
	select {
	case buf := <-f.spare:
		return buf
	default:
		return nil
	}
}

// take writes parts of a window, which it owns from now on, at an offset of a volume.
func (f *ferry) take(v *Volume, buf []byte, parts []run, base int64) {
	f.writes.Go(func() {
		for _, p := range parts {
			if err := v.writeDirect(buf[p.lo:p.hi], base+p.lo); err != nil {
				f.fail(err)
				break
			}
		}
		f.spare <- buf
	})
}

// writeDirect writes blocks past the page cache. After a refusal that holds for every write there is no further attempt.
func (v *Volume) writeDirect(p []byte, off int64) error {
	if !v.cached.Load() {
		_, err := v.Direct.WriteAt(p, off)
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
		v.cached.Store(true)
	}
	_, err := v.File.WriteAt(p, off)
	return err
}

// ways returns which parts of the window, which is on that piece of its volume, are written through the page cache, and which directly: then the
// ferry takes the window, and spare is an empty one.
func (w *window) ways(piece int64) (cached, direct []run, spare []byte) {
	parts, whole := w.parts(), w.on.Digest != nil && w.on.Digest.whole(piece, w.bytes)
	if w.on.Scratch && whole {
		return nil, nil, nil
	}
	if w.direct(piece, whole) {
		cached, direct = split(parts, whole && !slices.ContainsFunc(w.runs, func(r run) bool { return r.shared }))
		if size(direct) >= leastDirect {
			spare = w.disk.ferry.exchange()
		}
	}
	if spare == nil {
		return parts, nil, nil
	}
	return cached, direct, spare
}

// direct reports whether the window can be written directly. A part of a piece that is passed on is better read again from the page cache.
func (w *window) direct(piece int64, whole bool) bool {
	v := w.on
	return v.Direct != nil && !v.cached.Load() && v.Digest.size(piece)%directBlock == 0 && (whole || v.Digest.Take == nil)
}

// split returns the whole blocks in parts of a window, which can be written directly, and the rest. If the window has all of the piece, parts are
// rounded up to blocks, which zeros fill.
func split(parts []run, all bool) (cached, direct []run) {
	for _, p := range parts {
		first, last := p.lo&^(directBlock-1), p.hi&^(directBlock-1)
		from, to := (p.lo+directBlock-1)&^(directBlock-1), (p.hi+directBlock-1)&^(directBlock-1)
		switch {
		case all:
			direct = append(direct, run{lo: first, hi: to})
		case from < last:
			cached = add(add(cached, p.lo, from), last, p.hi)
			direct = append(direct, run{lo: from, hi: last})
		default:
			cached = append(cached, p)
		}
	}
	return cached, direct
}

// size returns the length in bytes of runs.
func size(list []run) (n int64) {
	for _, r := range list {
		n += r.hi - r.lo
	}
	return n
}
