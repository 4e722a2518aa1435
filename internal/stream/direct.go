package stream

import (
	"slices"
	"sync"

	"imprint/internal/direct"
)

// directWindows is the number of windows that may be on their way to the disk.
const directWindows = 4

// A ferry takes windows to the disk past the page cache while workers fill others. Copying into the page cache takes about as long as hashing, and
// several times as long where the kernel has to ask a hypervisor for the memory. Windows do not wait for the disk: if as many as may be are on their
// way, the page cache takes the rest.
type ferry struct {
	pool   *direct.Pool // of empty windows
	writes sync.WaitGroup
	fail   func(error)
}

// newFerry makes the ferry of a run of jobs; nil if the disk is not written directly.
func newFerry(d *Disk, fail func(error)) (*ferry, error) {
	if d.Direct == nil {
		return nil, nil
	}
	pool, err := direct.NewPool(directWindows)
	if err != nil {
		return nil, err
	}
	return &ferry{pool: pool, fail: fail}, nil
}

// end waits until everything is written.
func (f *ferry) end() {
	if f != nil {
		f.writes.Wait()
		f.pool.Free()
	}
}

// exchange returns an empty window for one that is to be written; nil if it has to be written by the caller.
func (f *ferry) exchange() []byte {
	if f == nil {
		return nil
	}
	return f.pool.Take()
}

// take writes parts of a window, which it owns from now on, at an offset of a volume.
func (f *ferry) take(v *Volume, buf []byte, parts []run, base int64) {
	f.writes.Go(func() {
		for _, p := range parts {
			if err := v.Direct.Write(buf[p.lo:p.hi], base+p.lo); err != nil {
				f.fail(err)
				break
			}
		}
		f.pool.Put(buf)
	})
}

// ways returns which parts of the window, which is on that piece of its volume, are written through the page cache, and which blocks directly: then the
// ferry takes the window, and spare is an empty one.
func (w *window) ways(piece int64) (cached, blocks []run, spare []byte) {
	parts, whole := w.parts(), w.on.Digest != nil && w.on.Digest.whole(piece, w.bytes)
	if w.on.Scratch && whole {
		return nil, nil, nil
	}
	if w.direct(piece, whole) {
		cached, blocks = split(parts, whole && !slices.ContainsFunc(w.runs, func(r run) bool { return r.shared }))
		if size(blocks) >= direct.Least {
			spare = w.disk.ferry.exchange()
		}
	}
	if spare == nil {
		return parts, nil, nil
	}
	return cached, blocks, spare
}

// direct reports whether the window can be written directly. A part of a piece that will be read again is better left in the page cache.
func (w *window) direct(piece int64, whole bool) bool {
	v := w.on
	return v.Direct != nil && !v.Direct.Refused() && v.Digest.size(piece)%direct.Block == 0 && (whole || v.Digest.forgets(piece))
}

// split returns the whole blocks in parts of a window, which can be written directly, and the rest. If the window has all of the piece, parts are
// rounded up to blocks, which zeros fill.
func split(parts []run, all bool) (cached, blocks []run) {
	for _, p := range parts {
		from, to := direct.Up(p.lo), direct.Down(p.hi)
		switch {
		case all:
			blocks = append(blocks, run{lo: direct.Down(p.lo), hi: direct.Up(p.hi)})
		case from < to:
			cached = add(add(cached, p.lo, from), to, p.hi)
			blocks = append(blocks, run{lo: from, hi: to})
		default:
			cached = append(cached, p)
		}
	}
	return cached, blocks
}

// size returns the length in bytes of runs.
func size(list []run) (n int64) {
	for _, r := range list {
		n += r.hi - r.lo
	}
	return n
}
