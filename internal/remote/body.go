package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// slow is the number of bytes that restarts the timer: a server that sends a byte from time to time must not block a build for ever.
const slow = 16 << 10

// A body is the body of a response. A timer ends it if too few bytes arrive.
type body struct {
	io.ReadCloser
	cancel  context.CancelFunc
	timer   *time.Timer
	stall   time.Duration
	stalled atomic.Bool // ended by the timer
	got     int         // bytes since the timer was started
	running bool        // of the timer
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if !b.running {
		b.running, b.got = true, 0
		b.timer.Reset(b.stall)
	}
	n, err := b.ReadCloser.Read(p)
	if b.got += n; b.got >= slow {
		b.running = false
		b.timer.Stop()
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, b.reason(err)
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.timer.Stop()
	b.cancel()
	return b.ReadCloser.Close()
}

// stop ends a stalled response.
func (b *body) stop() {
	b.stalled.Store(true)
	b.cancel()
}

// reason explains an error of reading a response.
func (b *body) reason(err error) error {
	switch {
	case b.stalled.Load() && b.got > 0:
		return fmt.Errorf("only %d bytes were received in %v", b.got, b.stall)
	case b.stalled.Load():
		return fmt.Errorf("nothing was received for %v", b.stall)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection was closed before the end of the file")
	}
	return err
}
