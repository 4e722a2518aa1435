package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// slow is how many bytes have to come before the timer ends an answer: a server that sends one from time to time does not hold a build for ever.
const slow = 16 << 10

// A body is the content of an answer. A timer ends it if no bytes come, or hardly any.
type body struct {
	io.ReadCloser
	cancel  context.CancelFunc
	timer   *time.Timer
	stall   time.Duration
	stalled atomic.Bool // ended by the timer
	got     int         // bytes since the timer has started
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

// stop ends an answer that does not come.
func (b *body) stop() {
	b.stalled.Store(true)
	b.cancel()
}

// reason returns an error of an answer in the words of what has happened.
func (b *body) reason(err error) error {
	switch {
	case b.stalled.Load() && b.got > 0:
		return fmt.Errorf("only %d bytes have come in %v", b.got, b.stall)
	case b.stalled.Load():
		return fmt.Errorf("nothing has come for %v", b.stall)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection ended before the file")
	}
	return err
}
