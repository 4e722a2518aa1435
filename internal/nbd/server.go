package nbd

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// An Export is a disk that is served. Its methods are called by several goroutines at once.
type Export interface {
	io.ReaderAt

	// Size returns the size in bytes, which does not change.
	Size() int64

	// Run returns the end of the run of data, or of zeros in a hole, that begins at off. The end is at most limit.
	Run(off, limit int64) (end int64, data bool)
}

// A Writable is an Export that clients may write to.
type Writable interface {
	Export
	io.WriterAt

	// Zero makes n bytes from off on read as zeros, as a hole if possible.
	Zero(off, n int64) error

	// Sync flushes all writes to the disk.
	Sync() error
}

// A Server serves one export, under its name and as the default export.
type Server struct {
	Name        string
	Description string        // shown in lists of exports
	Export      Export        // clients can write if it is a [Writable]
	Patience    time.Duration // in which a client must complete a message, or receive a reply; 0 means 30 s

	once   sync.Once
	memory *semaphore.Weighted
}

// Limits of concurrent requests.
const (
	maxMemory   = 256 << 20 // bytes, for all clients together
	maxInFlight = 16        // requests of a client
)

// grace is the time in which clients receive the last replies when the server ends.
const grace = 2 * time.Second

// Serve serves clients until ctx ends, and then closes the listener. Requests that were received by then are still answered, unless a client
// receives the replies too slowly.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			return nil
		}
		if err != nil {
			return err
		}
		clients.Go(func() {
			defer c.Close()
			s.Talk(ctx, c)
		})
	}
}

// A Conn is a connection with a client, such as a [net.Conn].
type Conn interface {
	io.ReadWriter
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// Talk serves one client until it disconnects, violates the protocol, is too slow, or ctx ends. It returns the reason, nil if the client has
// disconnected as the protocol says.
func (s *Server) Talk(ctx context.Context, c Conn) error {
	s.once.Do(s.prepare)
	t := newClient(ctx, s, c)
	defer t.end()
	defer context.AfterFunc(t.ctx, t.hangUp)()
	ready, err := t.negotiate()
	if err != nil || !ready {
		return err
	}
	return t.transmit()
}

func (s *Server) prepare() {
	s.memory = semaphore.NewWeighted(maxMemory)
	if s.Patience == 0 {
		s.Patience = 30 * time.Second
	}
}

// errBroken is the error of a client that violates the protocol. Nothing that it sends afterwards can be interpreted.
var errBroken = errors.New("nbd: the client violates the protocol")
