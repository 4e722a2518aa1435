package stream

import "context"

// A window is where a worker gathers what lies in one piece of the disk, to write it in few large runs and to hash it while it is
// still in the processor's cache.
type window struct {
	disk  *Disk
	buf   []byte
	piece int64 // which piece the window lies on
	runs  []run // of buf, in order, not touching one another
	bytes int64 // of extents in the runs, fill of blocks not counted
}

// A run is a part of the window that will be written: bytes [lo, hi).
type run struct{ lo, hi int64 }

// put takes n bytes for offset off of the disk, which read gives part by part. Up to grain-1 bytes that are missing between the last
// run and this one are the rest of a block and filled with zeros.
func (w *window) put(off, n, grain int64, read func(p []byte, done int64) error) error {
	for done := int64(0); done < n; {
		if err := w.move((off + done) / PieceSize); err != nil {
			return err
		}
		lo := (off + done) % PieceSize
		hi := min(PieceSize, lo+n-done)
		if err := w.claim(lo, grain); err != nil {
			return err
		}
		if err := read(w.buf[lo:hi], done); err != nil {
			return err
		}
		w.runs[len(w.runs)-1].hi = hi
		w.bytes += hi - lo
		done += hi - lo
	}
	return nil
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
func (w *window) claim(lo, grain int64) error {
	if len(w.runs) > 0 && lo < w.runs[len(w.runs)-1].hi {
		if err := w.flush(); err != nil {
			return err
		}
	}
	gap := lo
	if k := len(w.runs); k > 0 {
		end := w.runs[k-1].hi
		if gap = lo - end; gap < grain {
			clear(w.buf[end:lo])
			w.runs[k-1].hi = lo
			return nil
		}
	}
	clear(w.buf[lo-gap : lo])
	w.runs = append(w.runs, run{lo, lo})
	return nil
}

// flush writes the runs and empties the window.
func (w *window) flush() error {
	if len(w.runs) == 0 {
		return nil
	}
	base := w.piece * PieceSize
	for _, r := range w.runs {
		if _, err := w.disk.File.WriteAt(w.buf[r.lo:r.hi], base+r.lo); err != nil {
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
