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

	// Size is the length in bytes, which does not change.
	Size() int64

	// Run returns where the bytes from off on cease to be alike, which is limit at most: they are data, or a hole, which reads as
	// zeros.
	Run(off, limit int64) (end int64, data bool)
}

// A Writable is an Export that clients may write to.
type Writable interface {
	Export
	io.WriterAt

	// Zero makes n bytes from off on read as zeros, as a hole where that is possible.
	Zero(off, n int64) error

	// Sync returns when all that was written is on the disk.
	Sync() error
}

// A Server serves one export, under its name and as the default export.
type Server struct {
	Name        string
	Description string        // for those who list exports
	Export      Export        // a [Writable] may be written to
	Patience    time.Duration // how long a client may take to send what it has begun, or to take a reply; 0 means 30 s

	once   sync.Once
	memory *semaphore.Weighted
}

// What all clients of a server may make it hold at a time, and each of them.
const (
	maxMemory   = 256 << 20 // bytes
	maxInFlight = 16        // requests of a client
)

// grace is how long a client may take the last replies when the server ends.
const grace = 2 * time.Second

// Serve serves clients until ctx ends, and then closes the listener. Requests that were received by then are answered, if the clients take the
// answers soon.
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

// Talk serves one client until it leaves, breaks the protocol, is too slow, or ctx ends. It returns why it ended; nil if the client
// said that it would leave.
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

// errBroken is the error of a client that does not follow the protocol: what it sends next could mean anything.
var errBroken = errors.New("nbd: the client breaks the protocol")
