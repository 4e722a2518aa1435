package interrupt

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// Everything works until the context ends, and returns its cause from then on.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	text, p := strings.NewReader("0123456789"), make([]byte, 2)
	do := map[string]func() error{
		"read":    func() error { _, err := Reader(ctx, text).Read(p); return err },
		"read at": func() error { _, err := ReaderAt(ctx, text).ReadAt(p, 4); return err },
	}
	for name, call := range do {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	stop := errors.New("stop")
	cancel(stop)
	for name, call := range do {
		if err := call(); err != stop {
			t.Errorf("%s after the end: %v", name, err)
		}
	}
}

// Calls go on until the function has enough, and never overlap with the end.
func TestEvery(t *testing.T) {
	enough := make(chan int)
	n := 0
	stop := Every(time.Microsecond, func() bool {
		if n++; n == 3 {
			close(enough)
		}
		return n < 3
	})
	<-enough
	stop()
	if n != 3 {
		t.Errorf("%d calls", n)
	}
	calls := 0
	stop = Every(time.Microsecond, func() bool { calls++; return true })
	stop()
	before := calls // a call after the end would be a race
	time.Sleep(time.Millisecond)
	if calls != before {
		t.Errorf("%d calls after the end", calls-before)
	}
}
