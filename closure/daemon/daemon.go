// Package daemon speaks the worker protocol of Nix's daemon (worker-protocol.hh, remote-store.cc, daemon.cc), versions 1.21 to 1.37, as a client: numbers and
// strings as in package framed, over a socket. Every call is an operation with its arguments; messages and perhaps an error follow, and then the
// result. Nothing that the daemon says is trusted.
package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"imprint/internal/framed"
)

// Numbers of the protocol (worker-protocol.hh).
const (
	helloClient = 0x6e697863
	helloDaemon = 0x6478696f

	major  = 1
	oldest = 21
	newest = 37
	guix   = 99 // what Guix's daemon calls its version of the protocol

	opAddTempRoot        = 11
	opQueryAllValidPaths = 23
	opQueryPathInfo      = 26
	opQueryValidPaths    = 31
	opNarFromPath        = 38
	opAddToStoreNar      = 39
)

// Socket is the path of the socket of a store's daemon, below the state directory.
const Socket = "/daemon-socket/socket"

// Address returns the socket that the name of a daemon means: "daemon" for that of the machine's own store, for which it returns "", or unix:///PATH. ok
// is false for other names.
func Address(text string) (socket string, ok bool, err error) {
	if text == "daemon" {
		return "", true, nil
	}
	path, ok := strings.CutPrefix(text, "unix://")
	if ok && !strings.HasPrefix(path, "/") {
		err = errors.New("the path of a socket is absolute, as in unix:///run/daemon.socket")
	}
	return path, ok, err
}

// Limits of what the daemon says.
const (
	maxText  = 64 << 10  // bytes of a path, a hash, a content address
	maxPaths = 256 << 20 // bytes of a list of paths
)

// stall is how long the daemon may be silent.
var stall = 5 * time.Minute

// A Client is a connection to a daemon, which does one thing at a time. Its methods are safe for concurrent use. After an error other than an [Error] the
// connection cannot be used.
type Client struct {
	mu     sync.Mutex
	conn   io.ReadWriteCloser
	in     *framed.Stream
	out    *bufio.Writer
	minor  uint64 // of the version that both speak
	quiet  *time.Timer
	name   string
	broken error
}

// An Error is what the daemon says when it cannot do something.
type Error struct{ Text string }

// Error implements error.
func (e *Error) Error() string { return "the daemon says: " + e.Text }

// Dial connects to the socket of a daemon.
func Dial(ctx context.Context, socket string) (*Client, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: socket})
	if err != nil {
		return nil, err
	}
	c, err := Greet(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("daemon at %s: %w", socket, err)
	}
	c.name = socket
	return c, nil
}

// Greet begins a conversation.
func Greet(ctx context.Context, conn io.ReadWriteCloser) (*Client, error) {
	c := &Client{conn: conn, out: bufio.NewWriterSize(conn, 64<<10)}
	c.quiet = time.AfterFunc(stall, func() { conn.Close() })
	c.quiet.Stop()
	c.in = framed.NewStream(bufio.NewReaderSize(lively{c}, 64<<10))
	return c, c.do(ctx, c.greet)
}

// lively reads from the connection, and closes it when nothing comes for too long.
type lively struct{ *Client }

// Read implements io.Reader.
func (l lively) Read(b []byte) (int, error) {
	l.quiet.Reset(stall)
	n, err := l.conn.Read(b)
	if !l.quiet.Stop() && err != nil {
		return n, fmt.Errorf("it has said nothing for %v", stall)
	}
	return n, err
}

// Close ends the connection, and with it the temporary roots.
func (c *Client) Close() error {
	c.quiet.Stop()
	return c.conn.Close()
}

// do runs one exchange. The end of ctx ends the connection.
func (c *Client) do(ctx context.Context, exchange func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return c.broken
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { c.conn.Close() })()
	err := exchange()
	var said *Error
	switch {
	case err == nil || errors.As(err, &said):
		return err
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the daemon has ended the connection")
	}
	c.broken = err
	c.conn.Close()
	return err
}

// greet agrees on a version.
func (c *Client) greet() error {
	if err := c.send(number(helloClient)); err != nil {
		return err
	}
	hello, err := c.in.Number()
	if err != nil {
		return err
	}
	if hello != helloDaemon {
		return c.in.Errorf("it is no daemon of Nix: %#x where %#x is expected", hello, helloDaemon)
	}
	version, err := c.in.Number()
	if err != nil {
		return err
	}
	switch c.minor = version & 0xff; {
	case version>>8 != major || c.minor < oldest:
		return fmt.Errorf("it speaks version %d.%d of the protocol; 1.%d and later are supported", version>>8, version&0xff, oldest)
	case c.minor == guix:
		return errors.New("it is a daemon of Guix, which is not supported; its store can be read as a directory")
	}
	c.minor = min(c.minor, newest)
	if err := c.send(number(major<<8|newest), number(0), number(0)); err != nil { // and no CPU affinity, no reserved space
		return err
	}
	if c.minor >= 33 {
		if _, err := c.in.String(maxText); err != nil { // the version of Nix
			return err
		}
	}
	if c.minor >= 35 {
		if _, err := c.in.Number(); err != nil { // whether it trusts us
			return err
		}
	}
	return c.messages(nil)
}

func number(n uint64) []byte { return framed.AppendNumber(nil, n) }

func text(s string) []byte { return framed.AppendString(nil, s) }

func texts(list []string) []byte {
	b := number(uint64(len(list)))
	for _, s := range list {
		b = framed.AppendString(b, s)
	}
	return b
}

func flag(on bool) []byte {
	if on {
		return number(1)
	}
	return number(0)
}

// send sends what was appended to the encoding.
func (c *Client) send(parts ...[]byte) error {
	for _, p := range parts {
		if _, err := c.out.Write(p); err != nil {
			return err
		}
	}
	return c.out.Flush()
}

// call sends an operation with its arguments, and reads the messages before its result.
func (c *Client) call(op uint64, arguments ...[]byte) error {
	if err := c.send(append([][]byte{number(op)}, arguments...)...); err != nil {
		return err
	}
	return c.messages(nil)
}

// printable returns a message of the daemon without the escapes that colour it.
func printable(s string) string {
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, 0x1b)
		if i < 0 {
			i = len(s)
		}
		b.WriteString(s[:i])
		s = s[i:]
		if end := strings.IndexByte(s, 'm'); end >= 0 && end < 16 {
			s = s[end+1:]
		} else if s != "" {
			s = s[1:]
		}
	}
	return strings.TrimPrefix(strings.TrimSpace(b.String()), "error: ")
}
