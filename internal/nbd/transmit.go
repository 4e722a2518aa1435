package nbd

import (
	"context"
	"errors"
	"sync"
	"syscall"
)

// A request is a request of a client in the transmission phase.
type request struct {
	flags, command uint16
	cookie         uint64
	off, size      int64
	data           []byte // to be written
}

// transmit answers requests, several at a time, until the client disconnects.
func (c *client) transmit() error {
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, maxInFlight)
	for {
		r, err := c.request()
		if err != nil || r.command == cmdDisconnect {
			return err
		}
		hold := c.holds(r)
		if err := c.memory.Acquire(c.ctx, hold); err != nil {
			return context.Cause(c.ctx)
		}
		if err := c.payload(r); err != nil {
			c.memory.Release(hold)
			return err
		}
		slots <- struct{}{} // waits no longer than replies may take to send
		running.Go(func() {
			defer func() { <-slots; c.memory.Release(hold) }()
			c.serve(r)
		})
	}
}

// holds returns the approximate number of bytes of memory that a request takes while it is served.
func (c *client) holds(r *request) int64 {
	switch {
	case r.size > maxRequest:
		return blockSize // such a request is refused
	case r.command == cmdWrite, r.command == cmdRead && (!c.structured || r.flags&cmdFlagDF != 0):
		return r.size + blockSize
	case r.command == cmdRead:
		return min(r.size, chunkSize) + blockSize
	}
	return 8*maxDescriptors + blockSize
}

// request reads the header of the next request. There is no deadline before its first byte.
func (c *client) request() (*request, error) {
	if err := c.hurry(0); err != nil {
		return nil, err
	}
	if _, err := c.in.Peek(1); err != nil {
		return nil, err
	}
	if err := c.hurry(c.Patience); err != nil {
		return nil, err
	}
	var head [28]byte
	if err := c.read(head[:]); err != nil {
		return nil, err
	}
	r := &request{
		flags: order.Uint16(head[4:]), command: order.Uint16(head[6:]), cookie: order.Uint64(head[8:]),
		off: int64(order.Uint64(head[16:])), size: int64(order.Uint32(head[24:])),
	}
	if order.Uint32(head[:]) != magicRequest || r.command == cmdWrite && r.size > maxRequest {
		return nil, errBroken
	}
	return r, nil
}

// payload reads the data of a write.
func (c *client) payload(r *request) error {
	if r.command != cmdWrite {
		return nil
	}
	if err := c.hurry(c.Patience); err != nil {
		return err
	}
	r.data = make([]byte, r.size)
	return c.read(r.data)
}

// serve answers one request.
func (c *client) serve(r *request) {
	if number := c.refuse(r); number != 0 {
		c.fail(r, number, "")
		return
	}
	switch r.command {
	case cmdRead:
		c.serveRead(r)
	case cmdBlockStatus:
		c.serveStatus(r)
	default:
		if err := c.change(r); err != nil {
			c.broke(r, err)
			return
		}
		c.done(r)
	}
}

// refuse returns the error number for a request that cannot be served, 0 for others.
func (c *client) refuse(r *request) uint32 {
	allowed := map[uint16]uint16{
		cmdRead: cmdFlagDF | cmdFlagFUA, cmdWrite: cmdFlagFUA, cmdFlush: 0, cmdTrim: cmdFlagFUA,
		cmdWriteZeroes: cmdFlagFUA | cmdFlagNoHole, cmdBlockStatus: cmdFlagOne,
	}
	flags, known := allowed[r.command]
	_, writable := c.writable()
	changes := r.command == cmdWrite || r.command == cmdTrim || r.command == cmdWriteZeroes
	outside := r.off < 0 || r.off > c.Export.Size() || r.size > c.Export.Size()-r.off
	switch {
	case !known || r.flags&^flags != 0:
		return errInvalid
	case changes && !writable:
		return errPerm
	case r.command == cmdFlush:
		return 0
	case outside && r.command == cmdWrite, outside && r.command == cmdWriteZeroes:
		return errNoSpace
	case outside, r.command == cmdRead && r.size > maxRequest, r.flags&cmdFlagDF != 0 && !c.structured,
		r.command == cmdBlockStatus && (!c.status || r.size == 0):
		return errInvalid
	}
	return 0
}

// change performs a request that changes the disk: it writes, zeroes or syncs.
func (c *client) change(r *request) (err error) {
	w, ok := c.writable()
	if !ok { // a flush of a read-only export
		return nil
	}
	switch {
	case r.command == cmdWrite:
		_, err = w.WriteAt(r.data, r.off)
	case r.command == cmdWriteZeroes && r.flags&cmdFlagNoHole != 0:
		err = writeZeros(w, r)
	case r.command == cmdWriteZeroes, r.command == cmdTrim:
		err = w.Zero(r.off, r.size)
	}
	if err == nil && (r.command == cmdFlush || r.flags&cmdFlagFUA != 0) {
		err = w.Sync()
	}
	return err
}

// writeZeros writes allocated zeros.
func writeZeros(w Writable, r *request) error {
	zeros := make([]byte, min(r.size, chunkSize))
	for off, end := r.off, r.off+r.size; off < end; {
		n, err := w.WriteAt(zeros[:min(int64(len(zeros)), end-off)], off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// numberOf returns the error number for an error of the export.
func numberOf(err error) uint32 {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return errNoSpace
	case errors.Is(err, context.Canceled):
		return errShutdown
	}
	return errIO
}
