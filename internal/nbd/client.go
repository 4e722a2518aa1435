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
	ctx  context.Context // ends when the server stops, or when the client takes no more replies
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

// hangUp makes the goroutine that reads requests stop, and gives the client a moment to take what is being sent.
func (c *client) hangUp() {
	c.conn.SetReadDeadline(time.Unix(1, 0))
	c.conn.SetWriteDeadline(time.Now().Add(grace))
}

// patience is how long the client may take a reply.
func (c *client) patience() time.Duration {
	if c.ctx.Err() != nil {
		return min(c.Patience, grace)
	}
	return c.Patience
}

// hurry gives the client some time to send the rest of what it has begun, or, with no duration, any time to begin. It must not undo
// hangUp, so it looks at the context afterwards.
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

// read fills p, within the time that hurry gave.
func (c *client) read(p []byte) error {
	_, err := io.ReadFull(c.in, p)
	return err
}

// send writes one reply, or one chunk of it: a header and perhaps data. After an error nothing is written any more, since the client could
// not tell where the next reply begins.
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

// flags are the transmission flags. All connections see what one of them has written, so that a client may use several.
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
