package pieces

import (
	"fmt"
	"sync"
)

// Ordered is a [Writer] for formats that pack each piece and store them one after the other: Put packs, on the caller's goroutine, and what
// was packed is emitted in the order of pieces. What comes too early waits in a scratch file.
type Ordered struct {
	disk  Disk
	spool File
	how   Packing
	zeros map[int64][]byte // packed holes, by length
	pool  sync.Pool

	mu      sync.Mutex
	next    int64              // the piece that comes next
	waiting map[int64][2]int64 // offset and length in the spool
	end     int64              // of what is in the spool
	writes  int                // to the spool that have not ended
	err     error
}

// Packing is what a format does with pieces.
type Packing struct {
	// Pack appends at least one byte to dst, which is empty. It is called from several goroutines.
	Pack func(dst, content []byte) ([]byte, error)
	// Emit gets what Pack made, in the order of pieces, one at a time. It may change packed, but not keep it.
	Emit func(n int64, packed []byte) error
	// SkipHoles says that Emit gets nil for a hole; otherwise it gets what Pack makes of zeros.
	SkipHoles bool
	// Close writes what comes last, after everything was emitted. It may be nil.
	Close func() error
}

// NewOrdered returns a writer of a disk. The spool is a scratch file.
func NewOrdered(d Disk, spool File, how Packing) *Ordered {
	return &Ordered{disk: d, spool: spool, how: how, zeros: map[int64][]byte{}, waiting: map[int64][2]int64{}}
}

// Put implements Writer.
func (o *Ordered) Put(n int64, content []byte) (err error) {
	buf, _ := o.pool.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	defer o.pool.Put(buf)
	if *buf, err = o.how.Pack((*buf)[:0], content); err != nil {
		return err
	}
	return o.put(n, *buf)
}

func (o *Ordered) put(n int64, packed []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.holes()
	if o.err != nil || n == o.next {
		o.pass(packed)
		o.drain()
		return o.err
	}
	at := o.end
	o.end += int64(len(packed))
	o.writes++
	o.mu.Unlock()
	_, err := o.spool.WriteAt(packed, at)
	o.mu.Lock()
	o.writes--
	if err != nil && o.err == nil {
		o.err = err
	}
	o.waiting[n] = [2]int64{at, int64(len(packed))}
	o.drain()
	return o.err
}

// pass emits the next piece.
func (o *Ordered) pass(packed []byte) {
	if o.err == nil {
		o.err = o.how.Emit(o.next, packed)
		o.next++
	}
}

// holes emits the holes that come next.
func (o *Ordered) holes() {
	for o.err == nil && o.next < o.disk.Count() && o.disk.Hole(o.next) {
		if o.how.SkipHoles {
			o.pass(nil)
			continue
		}
		o.pass(append([]byte(nil), o.zerosOf(o.disk.Len(o.next))...))
	}
}

// zerosOf returns a packed hole.
func (o *Ordered) zerosOf(size int64) []byte {
	if o.zeros[size] == nil && o.err == nil {
		o.zeros[size], o.err = o.how.Pack(nil, make([]byte, size))
	}
	return o.zeros[size]
}

// drain emits what has waited and comes next. An empty spool is used from its start again.
func (o *Ordered) drain() {
	for o.holes(); o.err == nil; o.holes() {
		at, ok := o.waiting[o.next]
		if !ok {
			break
		}
		delete(o.waiting, o.next)
		packed := make([]byte, at[1])
		if _, o.err = o.spool.ReadAt(packed, at[0]); o.err == nil {
			o.pass(packed)
		}
	}
	if len(o.waiting) == 0 && o.writes == 0 {
		o.end = 0
	}
}

// Close implements Writer.
func (o *Ordered) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drain()
	switch {
	case o.err != nil:
		return o.err
	case o.next != o.disk.Count():
		return fmt.Errorf("piece %d of %d was not written", o.next, o.disk.Count())
	case o.how.Close != nil:
		return o.how.Close()
	}
	return nil
}
