package pieces

import "io"

// A Sink is where an [Ordered] puts packed pieces.
type Sink struct {
	File    File
	Spool   File // a scratch file, empty
	InOrder bool // File takes only bytes that follow those before, like a pipe
}

// writeInOrder makes a Packing with Place one with Emit, for a file that is written from start to end.
func (p *Packing) writeInOrder(to io.WriterAt) {
	place := p.Place
	p.Place = nil
	p.Emit = func(n int64, packed []byte) error {
		_, err := to.WriteAt(packed, place(n, int64(len(packed))))
		return err
	}
}

// A placed piece has its offset in the file.
type placed struct {
	waiting
	hole bool
	off  int64
}

// place gives pieces their offsets as long as the one that comes next is there, and then writes them, while others do the same: only lengths
// have to be known in order. The lock is not held while pieces are written.
func (o *Ordered) place() {
	list := o.placeable()
	o.mu.Unlock()
	var first error
	for _, p := range list {
		if err := o.writePlaced(p); first == nil {
			first = err
		}
	}
	o.mu.Lock()
	o.fail(first)
}

// placeable takes the pieces that have their offsets now.
func (o *Ordered) placeable() (list []placed) {
	for o.err == nil && o.next < o.disk.Count() {
		p := placed{hole: o.disk.Hole(o.next)}
		ok := false
		if p.waiting, ok = o.take(); !ok && !p.hole {
			break
		}
		if p.hole {
			zeros, err := o.zerosOf(o.disk.Len(o.next))
			o.fail(err)
			p.packed = zeros
		}
		p.off = o.how.Place(o.next, max(p.len, int64(len(p.packed))))
		list = append(list, p)
		o.next++
	}
	return list
}

// writePlaced writes a piece, and forgets it.
func (o *Ordered) writePlaced(p placed) (err error) {
	switch {
	case p.hole:
		_, err = o.file.WriteAt(p.packed, p.off)
		return err
	case p.packed == nil:
		buf := o.buffer()
		defer func() { o.release(buf) }()
		if buf, err = o.fromSpool(p.waiting, buf); err != nil {
			return err
		}
		_, err = o.file.WriteAt(buf, p.off)
		return err
	}
	_, err = o.file.WriteAt(p.packed, p.off)
	o.release(p.packed)
	o.forget()
	return err
}

// forget counts a piece in memory as written.
func (o *Ordered) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held--
}
