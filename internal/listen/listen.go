// Package listen opens listening sockets at addresses "unix:PATH" and "tcp:HOST:PORT", with a limit on the number of connections.
package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
)

// maxPath is the longest path of a Unix socket in bytes (unix(7)): sun_path has 108, with a NUL.
const maxPath = 107

// An Address is the address of a server.
type Address struct {
	Network string // "unix" or "tcp"
	Where   string // a path, or host and port
}

// Parse parses "unix:PATH" or "tcp:HOST:PORT".
func Parse(text string) (a Address, err error) {
	kind, where, _ := strings.Cut(text, ":")
	switch a = (Address{kind, where}); kind {
	case "unix":
		switch {
		case where == "":
			err = errors.New("it has no path")
		case len(where) > maxPath:
			err = fmt.Errorf("its path has %d bytes; a socket can have %d", len(where), maxPath)
		case strings.ContainsRune(where, 0) || where[0] == '@':
			err = errors.New("its path is not the name of a file")
		}
	case "tcp":
		if _, _, wrong := net.SplitHostPort(where); wrong != nil {
			err = errors.New("it is not tcp:HOST:PORT")
		}
	default:
		err = errors.New("it is neither unix:PATH nor tcp:HOST:PORT")
	}
	if err != nil {
		return Address{}, fmt.Errorf("address %q: %w", text, err)
	}
	return a, nil
}

// Open listens at the address. It replaces a Unix socket that a killed server has left, but not one in use, nor any other file. Only the owner
// of a Unix socket can connect to it, and Close removes it. TCP port 0 means a free one, which the listener's Addr returns.
//
// At most clients connections are open at a time. Further ones are closed at once.
func (a Address) Open(clients int) (*Listener, error) {
	if a.Network == "unix" {
		if err := sweep(a.Where); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen(a.Network, a.Where)
	if err != nil {
		return nil, err
	}
	if a.Network == "unix" {
		if err := os.Chmod(a.Where, 0o600); err != nil {
			l.Close()
			return nil, err
		}
	}
	return &Listener{Listener: l, Network: a.Network, slots: make(chan struct{}, clients)}, nil
}

// sweep removes a socket that nobody listens on.
func sweep(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().Type() != fs.ModeSocket {
		err = fmt.Errorf("listen at %s: a different file exists", path)
	}
	if err != nil {
		return err
	}
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err == nil {
		c.Close()
		return fmt.Errorf("listen at %s: another program does", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// A Listener is a [net.Listener] with a limit on its open connections.
type Listener struct {
	net.Listener
	Network string // "unix" or "tcp"
	slots   chan struct{}
}

// Address returns the path, or host and port.
func (b *Listener) Address() string { return b.Addr().String() }

// Accept implements net.Listener.
func (b *Listener) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.slots <- struct{}{}:
			return &conn{Conn: c, free: sync.OnceFunc(func() { <-b.slots })}, nil
		default:
			c.Close()
		}
	}
}

type conn struct {
	net.Conn
	free func()
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.free()
	return c.Conn.Close()
}
