package base

import (
	"context"
	"io"
)

// An ahead reads a reader in a goroutine, a few pieces before they are wanted.
type ahead struct {
	*belt
	stop  context.CancelFunc
	piece []byte // the one that is being read
	rest  []byte // of that
	err   error  // of the reader, once it has been returned
}

// readAhead begins to read r. Close waits for that to end; ctx or stop should end it.
func readAhead(ctx context.Context, stop context.CancelFunc, r io.Reader) *ahead {
	a := &ahead{belt: newBelt(), stop: stop}
	go a.belt.read(ctx, r)
	return a
}

// Read implements io.Reader.
func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.piece != nil {
			a.free <- a.piece[:cap(a.piece)]
			a.piece = nil
		}
		piece, more := <-a.full
		if !more {
			if a.err = a.belt.err; a.err == nil {
				return 0, io.EOF
			}
			return 0, a.err
		}
		a.piece, a.rest = piece, piece
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// Close ends reading ahead. Nothing reads the reader afterwards.
func (a *ahead) Close() {
	a.stop()
	for range a.full { // until it is closed
	}
}
