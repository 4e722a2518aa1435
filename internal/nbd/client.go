package nbd

import (
	"bufio"
	"context"
	"io"
	"sync"
	"time"
)

// A client is one connection.
type client struct {
	*Server
	ctx  context.Context // ends when the server stops, or when the client no longer receives replies
	end  context.CancelFunc
	conn Conn
	in   *bufio.Reader

	structured bool // replies are structured
	status     bool // base:allocation was chosen
	chosenFor  string
	noZeroes   bool

	replies sync.Mutex // held while a reply, or a chunk of one, is written
	failed  error      // of writing; under replies
}

func newClient(ctx context.Context, s *Server, c Conn) *client {
	ctx, cancel := context.WithCancel(ctx)
	return &client{Server: s, ctx: ctx, end: cancel, conn: c, in: bufio.NewReaderSize(c, 64<<10)}
}

// hangUp stops the goroutine that reads requests, and gives the client a moment to receive replies that are being sent.
func (c *client) hangUp() {
	c.conn.SetReadDeadline(time.Unix(1, 0))
	c.conn.SetWriteDeadline(time.Now().Add(grace))
}

// patience returns the time in which the client must receive a reply.
func (c *client) patience() time.Duration {
	if c.ctx.Err() != nil {
		return min(c.Patience, grace)
	}
	return c.Patience
}

// hurry sets a deadline for the rest of a message, or removes it if d is 0, before the next message. It must not undo hangUp, so it checks the
// context afterwards.
func (c *client) hurry(d time.Duration) error {
	var until time.Time
	if d > 0 {
		until = time.Now().Add(d)
	}
	if err := c.conn.SetReadDeadline(until); err != nil {
		return err
	}
	if c.ctx.Err() != nil {
		c.hangUp()
	}
	return nil
}

// read fills p before the deadline set by hurry.
func (c *client) read(p []byte) error {
	_, err := io.ReadFull(c.in, p)
	return err
}

// send writes one reply, or one chunk of it: a header and perhaps data. After an error nothing more is written, since the client could not
// know where the next reply begins.
func (c *client) send(parts ...[]byte) error {
	c.replies.Lock()
	defer c.replies.Unlock()
	if c.failed != nil {
		return c.failed
	}
	c.failed = c.conn.SetWriteDeadline(time.Now().Add(c.patience()))
	for _, p := range parts {
		if c.failed == nil && len(p) > 0 {
			_, c.failed = c.conn.Write(p)
		}
	}
	if c.failed != nil {
		c.end()
	}
	return c.failed
}

// writable returns the export if clients may write to it.
func (c *client) writable() (Writable, bool) {
	w, ok := c.Export.(Writable)
	return w, ok
}

// flags returns the transmission flags. Writes are visible to all connections at once, so a client may use several (CAN_MULTI_CONN).
func (c *client) flags() uint16 {
	flags := uint16(flagHasFlags | flagMultiConn)
	if c.structured {
		flags |= flagDF
	}
	if _, ok := c.writable(); !ok {
		return flags | flagReadOnly
	}
	return flags | flagFlush | flagFUA | flagTrim | flagWriteZeroes
}
