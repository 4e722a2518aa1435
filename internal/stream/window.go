package stream

import (
	"bytes"
	"context"
)

// A window is the memory in which a worker gathers the bytes of one piece of the disk, to write them in few large runs and to hash them while
// they are still in the processor's cache.
type window struct {
	disk  *Disk
	buf   []byte
	on    *Volume // that the piece is in
	piece int64   // number of the piece that the window is on, from offset 0 of the disk
	runs  []run   // of buf, in order and disjoint
	tree  leaves
	bytes int64 // of extents in the runs, without the zeros after the last bytes of blocks
}

// A run is a part of the window that will be written: bytes [lo, hi). A shared one is in the file already, in extents shared with its source.
type run struct {
	lo, hi int64
	shared bool
}

// claim adds n bytes at off of the disk, which lie in one piece, to the bytes that the window will write, and returns their memory, which the
// caller fills before it claims anything else. The memory after them in the window is free: the caller may overwrite it. Up to grain-1 bytes
// between the last run and this one are the rest of a block, and filled with zeros. A shared part is in the file already; its memory is filled
// only for the digest.
func (w *window) claim(off, n, grain int64, shared bool) ([]byte, error) {
	if err := w.move(off / PieceSize); err != nil {
		return nil, err
	}
	lo := off % PieceSize
	if len(w.runs) > 0 && lo < w.runs[len(w.runs)-1].hi {
		// The bytes after the last run may have been overwritten, so a claim before it writes the runs first.
		if err := w.flush(); err != nil {
			return nil, err
		}
	}
	w.extend(lo, grain, shared)
	w.runs[len(w.runs)-1].hi = lo + n
	w.bytes += n
	return w.buf[lo : lo+n], nil
}

// move puts the window on a piece.
func (w *window) move(piece int64) error {
	if piece == w.piece {
		return nil
	}
	if w.disk.stopped.Load() {
		return context.Canceled
	}
	if err := w.flush(); err != nil {
		return err
	}
	w.piece, w.on = piece, w.disk.At(piece*PieceSize)
	return nil
}

// extend makes the last run reach to lo, by filling the rest of its last block, or begins a new run there.
func (w *window) extend(lo, grain int64, shared bool) {
	if k := len(w.runs) - 1; k >= 0 {
		if last := &w.runs[k]; lo-last.hi < grain && last.shared == shared {
			clear(w.buf[last.hi:lo])
			last.hi = lo
			return
		}
	}
	w.runs = append(w.runs, run{lo, lo, shared})
}

// flush writes the runs and empties the window.
func (w *window) flush() error {
	if len(w.runs) == 0 {
		return nil
	}
	piece := w.piece - w.on.Start/PieceSize
	cached, direct, spare := w.ways(piece)
	err := w.write(piece, cached)
	if err == nil {
		w.disk.Bytes.Add(w.bytes)
		err = w.digest(piece, spare)
	}
	if spare != nil {
		w.disk.ferry.take(w.on, w.buf, direct, piece*PieceSize)
		w.buf = spare
	}
	w.runs, w.bytes = w.runs[:0], 0
	w.tree.forget()
	return err
}

// write writes parts of the window, which is on that piece of its volume, through the page cache.
func (w *window) write(piece int64, parts []run) error {
	for _, r := range parts {
		if _, err := w.on.File.WriteAt(w.buf[r.lo:r.hi], piece*PieceSize+r.lo); err != nil {
			return err
		}
	}
	return nil
}

// digest hashes the piece, which has that number in its volume, from the window if everything in it came through the window. What has to be read
// again is read into spare; without it the window is written by now, and its own memory is free.
func (w *window) digest(piece int64, spare []byte) error {
	d := w.on.Digest
	if d == nil {
		return nil
	}
	if d.whole(piece, w.bytes) {
		size := d.size(piece)
		w.clearGaps(size)
		if d.NoSums {
			return d.put(piece, w.buf[:size], nil)
		}
		return d.put(piece, w.buf[:size], w.tree.complete(w.buf[:size]))
	}
	if d.notes() {
		d.note(piece, w)
	}
	if d.last(piece, w.bytes) {
		if spare == nil {
			spare = w.buf
		}
		return d.read(piece, w.on.File, spare)
	}
	return nil
}

// clearGaps clears the bytes between the runs, which are zero in the file. It is called only for a whole piece, since most windows are written
// with a single run.
func (w *window) clearGaps(size int64) {
	at := int64(0)
	for _, r := range w.runs {
		clear(w.buf[at:r.lo])
		at = r.hi
	}
	clear(w.buf[at:size])
}

// write writes p directly, for a further place of a content.
func (d *Disk) write(p []byte, off int64) error {
	v := d.At(off)
	if _, err := v.File.WriteAt(p, off-v.Start); err != nil {
		return err
	}
	return d.written(off, int64(len(p)))
}

// written counts bytes that are now in the file.
func (d *Disk) written(off, n int64) error {
	d.Bytes.Add(n)
	return d.Made(off, n)
}

// holeSize is the unit in bytes in which zeros are not written, since the file is zero there already. Smaller holes would cost the host's file
// system more in extents than they save.
const holeSize = 64 << 10

// parts returns the parts of the window that are written: the runs, except for shared ones and long zeros.
func (w *window) parts() (list []run) {
	for _, r := range w.runs {
		if !r.shared {
			list = w.nonzero(list, r)
		}
	}
	return list
}

// nonzero appends a run without its long zeros.
func (w *window) nonzero(list []run, r run) []run {
	from, at := r.lo, r.lo
	for at < r.hi {
		end := min(r.hi, (at/holeSize+1)*holeSize)
		if end-at == holeSize && isZero(w.buf[at:end]) {
			list, from = add(list, from, at), end
		}
		at = end
	}
	return add(list, from, r.hi)
}

// add appends a run, unless it is empty.
func add(list []run, lo, hi int64) []run {
	if lo >= hi {
		return list
	}
	return append(list, run{lo: lo, hi: hi})
}

// isZero compares the ends first, which nearly always differ from zero if anything does.
func isZero(p []byte) bool {
	return p[0] == 0 && p[len(p)-1] == 0 && bytes.Equal(p, zeroes[:len(p)])
}
