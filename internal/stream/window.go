package stream

import (
	"bytes"
	"context"
)

// A window is where a worker gathers what lies in one piece of the disk, to write it in few large runs and to hash it while it is
// still in the processor's cache.
type window struct {
	disk  *Disk
	buf   []byte
	piece int64 // which piece the window lies on
	runs  []run // of buf, in order, not touching one another
	bytes int64 // of extents in the runs, fill of blocks not counted
}

// A run is a part of the window that will be written: bytes [lo, hi). A shared one is in the file already, by extents that it shares
// with its source.
type run struct {
	lo, hi int64
	shared bool
}

// A feed is where the window's bytes come from.
type feed interface {
	// share puts n bytes into the file at off without moving them, if the host's file system can do that.
	share(off, n, done int64) bool
	// read fills p with the bytes from done on.
	read(p []byte, done int64) error
	// wanted tells whether bytes that are shared must be read all the same.
	wanted() bool
	// skip passes over n bytes that are not read.
	skip(n int64)
}

// put takes n bytes for offset off of the disk. Up to grain-1 bytes that are missing between the last run and this one are the rest
// of a block and filled with zeros.
func (w *window) put(off, n, grain int64, from feed) error {
	for done := int64(0); done < n; {
		if err := w.move((off + done) / PieceSize); err != nil {
			return err
		}
		lo := (off + done) % PieceSize
		hi, shared := w.share(lo, min(PieceSize, lo+n-done), done, from)
		if err := w.claim(lo, grain, shared); err != nil {
			return err
		}
		if shared && !from.wanted() && w.disk.Digest == nil {
			from.skip(hi - lo)
		} else if err := from.read(w.buf[lo:hi], done); err != nil {
			return err
		}
		w.runs[len(w.runs)-1].hi = hi
		w.bytes += hi - lo
		done += hi - lo
	}
	return nil
}

// leastShared is the length in bytes from which on sharing extents is faster than copying.
const leastShared = 64 << 10

// share tries to share the whole blocks of [lo, hi) with the source, and gives the end of what is shared, or hi.
func (w *window) share(lo, hi, done int64, from feed) (int64, bool) {
	whole := (hi - lo) &^ (shareBlock - 1)
	if whole < leastShared || w.disk.unshared.Load() || lo%shareBlock != 0 || done%shareBlock != 0 {
		return hi, false
	}
	if !from.share(w.piece*PieceSize+lo, whole, done) {
		return hi, false
	}
	return lo + whole, true
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
	w.piece = piece
	return nil
}

// claim makes lo the place where the last run goes on: by filling the rest of its last block, or as a new run. What lies behind a
// run in the window has been given away, so going backwards writes what is there first.
func (w *window) claim(lo, grain int64, shared bool) error {
	if len(w.runs) > 0 && lo < w.runs[len(w.runs)-1].hi {
		if err := w.flush(); err != nil {
			return err
		}
	}
	gap := lo
	if k := len(w.runs); k > 0 {
		end := w.runs[k-1].hi
		if gap = lo - end; gap < grain && w.runs[k-1].shared == shared {
			clear(w.buf[end:lo])
			w.runs[k-1].hi = lo
			return nil
		}
	}
	clear(w.buf[lo-gap : lo])
	w.runs = append(w.runs, run{lo, lo, shared})
	return nil
}

// flush writes the runs and empties the window.
func (w *window) flush() error {
	if len(w.runs) == 0 {
		return nil
	}
	base := w.piece * PieceSize
	for _, r := range w.runs {
		if r.shared {
			continue
		}
		if err := w.write(base, r.lo, r.hi); err != nil {
			return err
		}
	}
	w.disk.Bytes.Add(w.bytes)
	err := w.digest()
	w.runs, w.bytes = w.runs[:0], 0
	return err
}

// digest hashes the piece out of the window when all that it holds came through it.
func (w *window) digest() error {
	d := w.disk.Digest
	if d == nil {
		return nil
	}
	if d.whole(w.piece, w.bytes) {
		end := w.runs[len(w.runs)-1].hi
		size := d.size(w.piece)
		clear(w.buf[end:size])
		d.put(w.piece, w.buf[:size])
		return nil
	}
	if d.last(w.piece, w.bytes) {
		return d.read(w.piece, w.disk.File, w.buf) // whose content is in the file by now
	}
	return nil
}

// write writes p at once, for contents that have a second place.
func (d *Disk) write(p []byte, off int64) error {
	if _, err := d.File.WriteAt(p, off); err != nil {
		return err
	}
	return d.written(off, int64(len(p)))
}

// written counts bytes that the file holds now.
func (d *Disk) written(off, n int64) error {
	d.Bytes.Add(n)
	if d.Digest == nil {
		return nil
	}
	return d.Digest.Made(off, n, d.File)
}

// holeSize is the length in bytes of zeros that are left out as a hole, since the file is zero where nothing is written.
const holeSize = 64 << 10

// write writes a part of the window, which lies at base of the disk, but for long zeros.
func (w *window) write(base, lo, hi int64) error {
	from := lo
	for lo < hi {
		end := min(hi, (lo/holeSize+1)*holeSize)
		if end-lo == holeSize && isZero(w.buf[lo:end]) {
			if err := w.writeAt(base, from, lo); err != nil {
				return err
			}
			from = end
		}
		lo = end
	}
	return w.writeAt(base, from, hi)
}

func (w *window) writeAt(base, lo, hi int64) error {
	if lo == hi {
		return nil
	}
	_, err := w.disk.File.WriteAt(w.buf[lo:hi], base+lo)
	return err
}

// isZero looks at the ends first, which nearly always tell.
func isZero(p []byte) bool {
	return p[0] == 0 && p[len(p)-1] == 0 && bytes.Equal(p, zeroes[:len(p)])
}
