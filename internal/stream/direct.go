package stream

import (
	"errors"
	"os"
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

// spare returns an empty window if the ferry takes this one, which is on that piece of its volume.
func (w *window) spare(piece int64) []byte {
	if v := w.on; v.Direct == nil || v.cached.Load() || w.bytes < leastDirect || v.Digest.size(piece)%directBlock != 0 ||
		!v.Digest.whole(piece, w.bytes) && v.Digest.Take != nil { // it will be read again
		return nil
	}
	return w.disk.ferry.exchange()
}

// split returns which parts of the window are written through the page cache, and which directly: whole blocks. A window that has the whole piece
// consists of blocks, which zeros fill.
func (w *window) split(piece int64, ferry bool) (cached, direct []run) {
	whole := w.on.Digest != nil && w.on.Digest.whole(piece, w.bytes)
	if w.on.Scratch && whole {
		return nil, nil
	}
	for lo, hi := range w.parts() {
		from, to := (lo+directBlock-1)&^(directBlock-1), hi&^(directBlock-1)
		switch {
		case !ferry || !whole && from >= to:
			cached = append(cached, run{lo: lo, hi: hi})
		case whole:
			direct = append(direct, run{lo: lo &^ (directBlock - 1), hi: (hi + directBlock - 1) &^ (directBlock - 1)})
		default:
			cached = append(cached, run{lo: lo, hi: from}, run{lo: to, hi: hi})
			direct = append(direct, run{lo: from, hi: to})
		}
	}
	return cached, direct
}
