package source

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"imprint/closure"
	"imprint/closure/closuretest"
	"imprint/closure/locks"
	"imprint/internal/framed"
	"imprint/internal/hosttest"
)

// registered returns a store directory with two items that are registered, and them.
func registered(t *testing.T) (dir string, c *closure.Closure) {
	t.Helper()
	dir = t.TempDir()
	state := dir + closure.Nix.StateDir
	var items []closuretest.Item
	for _, name := range []string{"00000000000000000000000000000000-a", "00000000000000000000000000000001-b"} {
		p, err := closure.Nix.ParsePath(closure.Nix.StoreDir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, closuretest.Item{Info: &closure.Info{Path: p, NARSize: 1}})
	}
	if err := os.MkdirAll(state+"/db", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := closure.Nix.Register(t.Context(), dir, []*closure.Info{items[0].Info, items[1].Info}, 1, false); err != nil {
		t.Fatal(err)
	}
	s, err := closure.OpenLocal(t.Context(), dir, closure.Nix, readItem)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return dir, &closure.Closure{Items: []closure.Item{{Info: items[0].Info, Store: s}, {Info: items[1].Info, Store: s}}}
}

// Items of a store in use are temporary roots until release; one that has vanished before is an error; a store that nobody uses is left alone.
func TestHold(t *testing.T) {
	dir, c := registered(t)
	state := dir + closure.Nix.StateDir
	items := c.Items
	release, err := Hold(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if list, _ := filepath.Glob(state + "/*"); len(list) != 1 {
		t.Errorf("%q", list)
	}
	if err := os.Mkdir(state+"/temproots", 0o755); err != nil {
		t.Fatal(err)
	}
	held := func() (n int) {
		all, err := locks.Held(state)
		if err != nil {
			t.Error(err)
		}
		for _, paths := range all {
			n += len(paths)
		}
		return n
	}
	if release, err = Hold(t.Context(), c); err != nil || held() != 2 {
		t.Fatalf("%v, %d held", err, held())
	}
	if release(); held() != 0 {
		t.Errorf("%d held", held())
	}
	hosttest.Run(t, "sqlite3", dir+closure.Nix.Database(), "delete from ValidPaths where path like '%-b'")
	var gone *closure.GoneError
	if _, err := Hold(t.Context(), c); !errors.As(err, &gone) || gone.Path != items[1].Info.Path || held() != 0 {
		t.Errorf("%v, %d held", err, held())
	}
}

// Where the user may not make roots, the daemon is asked to. They end with the connection.
func TestHoldByDaemon(t *testing.T) {
	dir, c := registered(t)
	state := dir + closure.Nix.StateDir
	if err := errors.Join(os.Symlink("/sys", state+"/temproots"), os.Mkdir(state+"/daemon-socket", 0o755)); err != nil { // nobody makes a file in /sys
		t.Fatal(err)
	}
	release, err := Hold(t.Context(), c)
	if err != nil {
		t.Fatalf("without a daemon: %v", err)
	}
	release()
	l, err := net.Listen("unix", state+"/daemon-socket/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked, ended := make(chan string, 10), make(chan struct{})
	go func() {
		defer close(ended)
		keepRoots(l, asked)
	}()
	if release, err = Hold(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, item := range c.Items {
		if got := <-asked; got != item.Info.Path.String() {
			t.Errorf("%q", got)
		}
	}
	select {
	case <-ended:
		t.Error("the connection has ended before")
	default:
	}
	release()
	<-ended
}

// keepRoots is a daemon that takes temporary roots, of one client.
func keepRoots(l net.Listener, asked chan<- string) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	in := framed.NewStream(conn)
	say := func(numbers ...uint64) {
		var b []byte
		for _, n := range numbers {
			b = framed.AppendNumber(b, n)
		}
		conn.Write(b)
	}
	const hello, last = 0x6478696f, 0x616c7473
	in.Number()
	say(hello, 1<<8|21)
	for range 3 { // version, CPU affinity, reserved space
		in.Number()
	}
	say(last)
	for {
		if op, err := in.Number(); err != nil || op != 11 {
			return
		}
		path, err := in.String(1000)
		if err != nil {
			return
		}
		asked <- path
		say(last, 1)
	}
}
