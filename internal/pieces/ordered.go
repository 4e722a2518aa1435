package pieces

import (
	"fmt"
	"slices"
	"sync"
)

// Ordered is a [Writer] for formats that pack each piece and store packed pieces one after the other. Put packs on the caller's goroutine.
// Packed pieces are emitted in order; those that come too early wait in a scratch file.
type Ordered struct {
	disk  Disk
	spool File
	how   Packing
	zeros map[int64][]byte // packed holes, by length
	free  chan []byte      // buffers that are not in use
	back  []byte           // the buffer for reading the spool

	mu      sync.Mutex
	next    int64              // the piece that comes next
	waiting map[int64][2]int64 // offset and length in the spool
	end     int64              // of the data in the spool
	writes  int                // to the spool, in progress
	err     error
}

// Packing holds the functions of a format.
type Packing struct {
	// Pack appends at least one byte to dst, which is empty. It is called from several goroutines.
	Pack func(dst, content []byte) ([]byte, error)
	// Emit is called with the results of Pack, in the order of pieces, one at a time. It may change packed, but not keep it.
	Emit func(n int64, packed []byte) error
	// SkipHoles passes nil to Emit for a hole. Otherwise Emit gets packed zeros.
	SkipHoles bool
	// Close writes the end of the file, after everything was emitted. It may be nil.
	Close func() error
}

// NewOrdered returns a writer of a disk. spool is a scratch file.
func NewOrdered(d Disk, spool File, how Packing) *Ordered {
	return &Ordered{disk: d, spool: spool, how: how, zeros: map[int64][]byte{}, waiting: map[int64][2]int64{}, free: make(chan []byte, mostFree)}
}

// mostFree is the number of free buffers that are kept.
const mostFree = 16

// buffer returns an empty buffer with room for a piece that does not compress, so that it need not grow. It does not use a sync.Pool: the garbage
// collector would empty that so often that nearly every piece needed a new buffer, and clearing one takes longer than some pieces take to pack.
func (o *Ordered) buffer() []byte {
	select {
	case buf := <-o.free:
		return buf[:0]
	default:
		return make([]byte, 0, o.disk.Piece+o.disk.Piece/64+4096)
	}
}

// release keeps a buffer for the next piece.
func (o *Ordered) release(buf []byte) {
	select {
	case o.free <- buf:
	default:
	}
}

// Put implements Writer.
func (o *Ordered) Put(n int64, content []byte) error {
	buf, err := o.how.Pack(o.buffer(), content)
	if err != nil {
		return err
	}
	defer o.release(buf)
	return o.put(n, buf)
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

// drain emits waiting pieces as long as the next one is among them. An empty spool is reused from its start.
func (o *Ordered) drain() {
	for o.holes(); o.err == nil; o.holes() {
		at, ok := o.waiting[o.next]
		if !ok {
			break
		}
		delete(o.waiting, o.next)
		o.back = slices.Grow(o.back[:0], int(at[1]))[:at[1]]
		if _, o.err = o.spool.ReadAt(o.back, at[0]); o.err == nil {
			o.pass(o.back)
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
