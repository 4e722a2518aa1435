package nbd

// simple returns the header of a simple reply.
func simple(r *request, number uint32) []byte {
	return order.AppendUint64(order.AppendUint32(order.AppendUint32(nil, magicSimple), number), r.cookie)
}

// chunk returns the header of a chunk with a body of size bytes.
func chunk(r *request, flags, kind uint16, size int) []byte {
	head := order.AppendUint16(order.AppendUint16(order.AppendUint32(nil, magicStructured), flags), kind)
	return order.AppendUint32(order.AppendUint64(head, r.cookie), uint32(size))
}

// done sends success for a request without data in its reply.
func (c *client) done(r *request) error {
	if !c.structured {
		return c.send(simple(r, 0))
	}
	return c.send(chunk(r, chunkDone, chunkNone, 0))
}

// maxMessage is the longest error message in bytes, the limit of the protocol for any text.
const maxMessage = 4096

// fail sends the error of a request.
func (c *client) fail(r *request, number uint32, message string) error {
	if !c.structured {
		return c.send(simple(r, number))
	}
	message = message[:min(len(message), maxMessage)]
	body := order.AppendUint16(order.AppendUint32(nil, number), uint16(len(message)))
	body = append(body, message...)
	return c.send(chunk(r, chunkDone, chunkError, len(body)), body)
}

func (c *client) broke(r *request, err error) error { return c.fail(r, numberOf(err), err.Error()) }

// serveRead answers a read: in chunks of data and of holes, or as a whole if the client requires that.
func (c *client) serveRead(r *request) error {
	switch {
	case !c.structured || r.flags&cmdFlagDF != 0:
		return c.readWhole(r)
	case r.size == 0:
		return c.done(r)
	}
	buf := make([]byte, min(r.size, chunkSize))
	for off, end := r.off, r.off+r.size; off < end; {
		next, data := c.Export.Run(off, end)
		if data {
			next = min(next, off+chunkSize)
		}
		last := uint16(0)
		if next == end {
			last = chunkDone
		}
		var err error
		if data {
			p := buf[:next-off]
			if err := readAt(c.Export, p, off); err != nil {
				return c.broke(r, err)
			}
			err = c.send(chunk(r, last, chunkData, 8+len(p)), order.AppendUint64(nil, uint64(off)), p)
		} else {
			hole := order.AppendUint32(order.AppendUint64(nil, uint64(off)), uint32(next-off))
			err = c.send(chunk(r, last, chunkHole, len(hole)), hole)
		}
		if err != nil {
			return err
		}
		off = next
	}
	return nil
}

// readWhole answers a read with one run of data. All of it is read before anything is sent, since a simple reply begins with the error.
func (c *client) readWhole(r *request) error {
	p := make([]byte, r.size)
	if err := readAt(c.Export, p, r.off); err != nil {
		return c.broke(r, err)
	}
	if !c.structured {
		return c.send(simple(r, 0), p)
	}
	return c.send(chunk(r, chunkDone, chunkData, 8+len(p)), order.AppendUint64(nil, uint64(r.off)), p)
}

// readAt fills p. It ignores io.EOF if p is full.
func readAt(e Export, p []byte, off int64) error {
	n, err := e.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	return err
}

// serveStatus answers a request for block status: runs of data and of holes from the offset on, as many as fit into a reply.
func (c *client) serveStatus(r *request) error {
	body := order.AppendUint32(nil, contextID)
	most := maxDescriptors
	if r.flags&cmdFlagOne != 0 {
		most = 1
	}
	for off, end := r.off, r.off+r.size; off < end && most > 0; most-- {
		next, data := c.Export.Run(off, end)
		state := uint32(stateHole | stateZero)
		if data {
			state = 0
		}
		body = order.AppendUint32(order.AppendUint32(body, uint32(next-off)), state)
		off = next
	}
	return c.send(chunk(r, chunkDone, chunkBlockStatus, len(body)), body)
}
