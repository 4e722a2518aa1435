package pieces

import (
	"fmt"
	"slices"
	"sync"
)

// Ordered is a [Writer] for formats that pack each piece and store packed pieces one after the other. Put packs on the caller's goroutine.
// Packed pieces are emitted in order, by whoever has put the one that comes next, while others go on, or get their offsets in order and are
// written in parallel. A few that come too early wait in memory, and more in a scratch file.
type Ordered struct {
	disk  Disk
	file  File
	spool File
	how   Packing
	zeros map[int64][]byte // packed holes, by length
	free  chan []byte      // buffers that are not in use
	back  []byte           // the buffer for reading the spool

	mu       sync.Mutex
	next     int64             // the piece that comes next
	emitting bool              // somebody emits pieces
	waiting  map[int64]waiting // by piece
	held     int               // those in memory, also while they are written
	spooled  int               // those in the spool, also while they are written
	end      int64             // of the data in the spool
	err      error
}

// A waiting piece is in memory, or else in the spool.
type waiting struct {
	packed  []byte
	at, len int64
}

// Packing holds the functions of a format.
type Packing struct {
	// Pack appends at least one byte to dst, which is empty. It is called from several goroutines.
	Pack func(dst, content []byte) ([]byte, error)
	// Emit is called with the results of Pack, in the order of pieces, one at a time. It may change packed, but not keep it.
	Emit func(n int64, packed []byte) error
	// Place is in place of Emit for pieces that are written as they are: it is called with their lengths, in the same way, and returns the
	// offset in the file.
	Place func(n, size int64) (off int64)
	// SkipHoles passes nil to Emit for a hole. Otherwise Emit gets packed zeros, as Place always does.
	SkipHoles bool
	// Close writes the end of the file, after everything was emitted. It may be nil.
	Close func() error
}

// NewOrdered returns a writer of a disk. The file of the sink is used only with Packing.Place.
func NewOrdered(d Disk, to Sink, how Packing) *Ordered {
	if how.Place != nil && to.InOrder {
		how.writeInOrder(to.File)
	}
	return &Ordered{
		disk: d, file: to.File, spool: to.Spool, how: how, zeros: map[int64][]byte{}, waiting: map[int64]waiting{}, free: make(chan []byte, mostFree),
	}
}

// At most mostHeld pieces wait in memory, each in a buffer with room for a whole one. mostFree is the number of free buffers that are kept.
const (
	mostHeld = 8
	mostFree = 16
)

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
	return o.put(n, buf)
}

func (o *Ordered) put(n int64, packed []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n == o.next || o.held < mostHeld {
		o.held++
		o.waiting[n] = waiting{packed: packed}
	} else {
		o.fail(o.defers(n, packed))
	}
	o.emit()
	return o.err
}

// fail keeps the first error.
func (o *Ordered) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// defers writes a piece to the spool.
func (o *Ordered) defers(n int64, packed []byte) error {
	at := o.end
	o.end += int64(len(packed))
	o.spooled++
	o.mu.Unlock()
	_, err := o.spool.WriteAt(packed, at)
	o.release(packed)
	o.mu.Lock()
	o.waiting[n] = waiting{at: at, len: int64(len(packed))}
	return err
}

// emit emits what comes next as long as it is there. It does nothing while somebody else emits: that one goes on with what is added meanwhile.
// The lock is not held during an emission.
func (o *Ordered) emit() {
	if o.how.Place != nil {
		o.place()
		return
	}
	if o.emitting {
		return
	}
	o.emitting = true
	for o.err == nil && o.next < o.disk.Count() {
		hole := o.disk.Hole(o.next)
		w, ok := o.take()
		if !ok && !hole {
			break
		}
		o.mu.Unlock()
		err := o.pass(w, hole)
		o.mu.Lock()
		o.next++
		o.fail(err)
	}
	o.emitting = false
}

// take removes the piece that comes next from those that wait.
func (o *Ordered) take() (w waiting, ok bool) {
	if w, ok = o.waiting[o.next]; !ok {
		return w, false
	}
	delete(o.waiting, o.next)
	return w, true
}

// pass emits a piece, or a hole.
func (o *Ordered) pass(w waiting, hole bool) (err error) {
	switch {
	case hole && o.how.SkipHoles:
		return o.how.Emit(o.next, nil)
	case hole:
		zeros, err := o.zerosOf(o.disk.Len(o.next))
		if err != nil {
			return err
		}
		return o.how.Emit(o.next, slices.Clone(zeros))
	case w.packed != nil:
		err = o.how.Emit(o.next, w.packed)
		o.release(w.packed)
		o.forget()
		return err
	}
	if o.back, err = o.fromSpool(w, o.back); err != nil {
		return err
	}
	return o.how.Emit(o.next, o.back)
}

// fromSpool reads a piece into buf. A spool that nothing is left in is used again from its start.
func (o *Ordered) fromSpool(w waiting, buf []byte) ([]byte, error) {
	buf = slices.Grow(buf[:0], int(w.len))[:w.len]
	_, err := o.spool.ReadAt(buf, w.at)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.spooled--; o.spooled == 0 {
		o.end = 0
	}
	return buf, err
}

// zerosOf returns a packed hole.
func (o *Ordered) zerosOf(size int64) (packed []byte, err error) {
	if o.zeros[size] == nil {
		o.zeros[size], err = o.how.Pack(nil, make([]byte, size))
	}
	return o.zeros[size], err
}

// Close implements Writer.
func (o *Ordered) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.emit()
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
