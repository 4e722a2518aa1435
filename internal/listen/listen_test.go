package listen

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Address{
		"unix:/run/x y": {"unix", "/run/x y"}, "unix:s": {"unix", "s"}, "tcp:127.0.0.1:0": {"tcp", "127.0.0.1:0"}, "tcp:[::1]:80": {"tcp", "[::1]:80"},
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"": "neither", "127.0.0.1:80": "neither", "unix:": "no path", "unix:@abstract": "not the name", "tcp:80": "not tcp:HOST:PORT", "tcp:": "not tcp:HOST:PORT",
		"unix:" + strings.Repeat("x", 108): "108 bytes",
	} {
		if a, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", text, a, err, want)
		}
	}
}

func open(t *testing.T, a Address, clients int) *Listener {
	t.Helper()
	l, err := a.Open(clients)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// socket is the path of a socket in a directory whose name is short enough.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "listen-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func TestUnixSocket(t *testing.T) {
	path := socket(t)
	a := Address{"unix", path}
	l := open(t, a, 1)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := a.Open(1); err == nil || !strings.Contains(err.Error(), "another program does") {
		t.Errorf("a socket in use: %v", err)
	}
	l.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false) // as after a kill
	left.Close()
	open(t, a, 1).Close()
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Open(1); err == nil || !strings.Contains(err.Error(), "a different file exists") {
		t.Errorf("a file: %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "text" {
		t.Error("the file has changed")
	}
}

// Connections beyond the bound are closed at once, and a closed one makes room.
func TestBound(t *testing.T) {
	l := open(t, Address{"tcp", "127.0.0.1:0"}, 2)
	accepted := make(chan net.Conn, 9)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(10 * time.Second))
		return c
	}
	dial()
	dial()
	first := <-accepted
	defer (<-accepted).Close()
	if _, err := dial().Read(make([]byte, 1)); err != io.EOF && !strings.Contains(err.Error(), "reset") {
		t.Errorf("a third connection: %v", err)
	}
	first.Close()
	first.Close() // frees once
	dial()
	c := <-accepted
	defer c.Close()
	if len(l.slots) != 2 {
		t.Errorf("%d connections are counted", len(l.slots))
	}
}
