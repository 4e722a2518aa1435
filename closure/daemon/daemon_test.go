package daemon

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"imprint/internal/framed"
	"imprint/internal/hosttest"
)

// A fake is a daemon of any version, with one path.
type fake struct {
	t     *testing.T
	minor uint64
	in    *framed.Stream
	out   io.Writer
	info  Info
	nar   string
	got   string // the archive that was added
	roots []string
	fails string // what every operation says
}

const (
	path  = "/nix/store/00000000000000000000000000000000-a"
	other = "/nix/store/00000000000000000000000000000001-b"
)

// talk connects a client to a fake daemon.
func talk(t *testing.T, f *fake) *Client {
	t.Helper()
	ours, theirs := net.Pipe()
	f.t, f.in, f.out = t, framed.NewStream(theirs), theirs
	f.nar, f.info = words("nix-archive-1", "(", "type", "symlink", "target", "x", ")"), Info{Deriver: "x.drv", NARHash: [32]byte{1, 2}, NARSize: 10, References: []string{path, other}, Sigs: []string{"k:s"}, CA: "text:x"}
	done := make(chan error, 1)
	go func() { done <- f.serve() }()
	c, err := Greet(t.Context(), ours)
	if err != nil {
		t.Fatalf("1.%d: %v", f.minor, err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := <-done; !errors.Is(err, io.EOF) {
			t.Errorf("the daemon of version 1.%d ends with %v", f.minor, err)
		}
	})
	return c
}

func words(list ...string) string {
	var b []byte
	for _, s := range list {
		b = framed.AppendString(b, s)
	}
	return string(b)
}

func (f *fake) say(parts ...[]byte) {
	f.out.Write(slices.Concat(parts...))
}

func (f *fake) numbers(n int) (last uint64) {
	for range n {
		last, _ = f.in.Number()
	}
	return last
}

func (f *fake) serve() error {
	if f.numbers(1) != helloClient {
		return errors.New("no hello")
	}
	f.say(number(helloDaemon), number(major<<8|f.minor))
	if f.numbers(3) != 0 {
		return errors.New("space is reserved")
	}
	f.minor = min(f.minor, newest)
	if f.minor >= 33 {
		f.say(text("2.30"))
	}
	if f.minor >= 35 {
		f.say(number(1))
	}
	f.say(number(msgNext), text("hello"), number(msgLast))
	for {
		op, err := f.in.Number()
		if err != nil {
			return err
		}
		f.answer(op)
	}
}

func (f *fake) answer(op uint64) {
	var argument string
	if op != opQueryValidPaths && op != opQueryAllValidPaths {
		argument, _ = f.in.String(1000)
	}
	var paths []string
	if op == opQueryValidPaths {
		paths, _ = f.in.Strings(1000)
		if f.minor >= 27 {
			f.numbers(1)
		}
	}
	if op == opAddToStoreNar {
		f.add()
		return
	}
	f.say(number(msgStart), number(1), number(2), number(3), text("doing"), number(2), number(0), number(7), number(1), text("field"), number(0),
		number(msgResult), number(1), number(4), number(0), number(msgStop), number(1))
	if f.fails != "" {
		f.fail()
		return
	}
	f.say(number(msgLast))
	switch op {
	case opAddTempRoot:
		f.roots = append(f.roots, argument)
		f.say(number(1))
	case opQueryPathInfo:
		f.say(flag(argument == path))
		if argument == path {
			f.say(text(f.info.Deriver), text(hex.EncodeToString(f.info.NARHash[:])), texts(f.info.References), number(9), number(10), number(1), texts(f.info.Sigs), text(f.info.CA))
		}
	case opQueryValidPaths:
		f.say(texts(slices.DeleteFunc(paths, func(p string) bool { return p != path })))
	case opQueryAllValidPaths:
		f.say(texts([]string{path}))
	case opNarFromPath:
		f.say([]byte(f.nar))
	}
}

func (f *fake) fail() {
	if f.minor < 26 {
		f.say(number(msgError), text("error: \x1b[31;1m"+f.fails+"\x1b[0m"), number(1))
		return
	}
	f.say(number(msgError), text("Error"), number(0), text("Error"), text("\x1b[31;1m"+f.fails+"\x1b[0m"), number(0), number(1), number(0), text("a trace"))
}

// add takes an archive as the version sends it.
func (f *fake) add() {
	f.in.String(1000)
	f.in.String(1000)
	f.in.Strings(1000)
	f.numbers(3)
	f.in.Strings(1000)
	f.in.String(1000)
	f.numbers(2)
	if f.minor < 23 {
		f.say(number(msgRead), number(4))
		first, _ := f.in.String(100)
		f.say(number(msgRead), number(100))
		rest, _ := f.in.String(100)
		f.got = first + rest
	} else {
		for n := f.numbers(1); n > 0; n = f.numbers(1) {
			b := make([]byte, n)
			io.ReadFull(f.in, b)
			f.got += string(b)
		}
	}
	if f.fails != "" {
		f.fail()
		return
	}
	f.say(number(msgLast))
}

// Every operation works with every version, and after what the daemon says when it cannot do something.
func TestVersions(t *testing.T) {
	for _, minor := range []uint64{21, 22, 23, 25, 26, 27, 32, 33, 35, 37, 38} {
		f := &fake{minor: minor}
		c := talk(t, f)
		ctx := t.Context()
		if err := c.AddTempRoot(ctx, path); err != nil || len(f.roots) != 1 || f.roots[0] != path {
			t.Errorf("1.%d: %v, %q", minor, err, f.roots)
		}
		if err := c.AddTempRoots(ctx, slices.Repeat([]string{path}, 2500)); err != nil || len(f.roots) != 2501 {
			t.Errorf("1.%d: %v, %d roots", minor, err, len(f.roots))
		}
		info, err := c.PathInfo(ctx, path)
		if err != nil || info.NARHash != f.info.NARHash || info.NARSize != 10 || len(info.References) != 2 || info.CA != "text:x" || info.Sigs[0] != "k:s" || info.Deriver != "x.drv" {
			t.Errorf("1.%d: %+v, %v", minor, info, err)
		}
		if info, err := c.PathInfo(ctx, other); info != nil || err != nil {
			t.Errorf("1.%d: %+v, %v", minor, info, err)
		}
		if valid, err := c.ValidPaths(ctx, []string{path, other}); err != nil || !slices.Equal(valid, []string{path}) {
			t.Errorf("1.%d: %q, %v", minor, valid, err)
		}
		if all, err := c.AllPaths(ctx); err != nil || len(all) != 1 {
			t.Errorf("1.%d: %q, %v", minor, all, err)
		}
		var b bytes.Buffer
		if err := c.Archive(ctx, path, int64(len(f.nar)), &b); err != nil || b.String() != f.nar {
			t.Errorf("1.%d: %q, %v", minor, &b, err)
		}
		f.fails = "no"
		if _, err := c.PathInfo(ctx, path); err == nil || err.Error() != "the daemon says: no" {
			t.Errorf("1.%d: %v", minor, err)
		}
		if err := c.Add(ctx, path, f.info, true, write("an archive")); err == nil || !strings.Contains(err.Error(), "the daemon says: no") {
			t.Errorf("1.%d: %v", minor, err)
		}
		f.fails, f.got = "", ""
		if err := c.Add(ctx, path, f.info, false, write("an archive")); err != nil || f.got != "an archive" {
			t.Errorf("1.%d: %v, %q", minor, err, f.got)
		}
	}
}

func write(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		for _, part := range []string{s[:4], s[4:]} {
			if _, err := io.WriteString(w, part); err != nil {
				return err
			}
		}
		return nil
	}
}

// What is no daemon, too old, or Guix's, is refused by name.
func TestGreetRefuses(t *testing.T) {
	for said, want := range map[string]string{
		string(number(1)): "it is no daemon of Nix",
		string(number(helloDaemon)) + string(number(1<<8|20)):   "it speaks version 1.20 of the protocol; 1.21 and later are supported",
		string(number(helloDaemon)) + string(number(2<<8|21)):   "it speaks version 2.21",
		string(number(helloDaemon)) + string(number(1<<8|0x63)): "it is a daemon of Guix",
		"": "the daemon has ended the connection",
	} {
		_, err := Greet(t.Context(), recorded{strings.NewReader(said)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", said, err, want)
		}
	}
}

// recorded is a connection to what was recorded.
type recorded struct{ io.Reader }

func (recorded) Write(b []byte) (int, error) { return len(b), nil }
func (recorded) Close() error                { return nil }

// A daemon that says nothing is given up, and so is one when the context ends; the connection then stays unusable.
func TestSilence(t *testing.T) {
	defer func(old time.Duration) { stall = old }(stall)
	stall = 20 * time.Millisecond
	silent, far := net.Pipe()
	go io.Copy(io.Discard, far)
	if _, err := Greet(context.Background(), silent); err == nil || !strings.Contains(err.Error(), "it has said nothing for 20ms") {
		t.Errorf("%v", err)
	}
	stall = time.Hour
	silent, far = net.Pipe()
	go io.Copy(io.Discard, far)
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("the end")
	time.AfterFunc(time.Millisecond, func() { cancel(cause) })
	if _, err := Greet(ctx, silent); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
}

func TestAddress(t *testing.T) {
	for text, want := range map[string]string{"daemon": "", "unix:///run/x": "/run/x"} {
		if got, ok, err := Address(text); got != want || !ok || err != nil {
			t.Errorf("%s: %q, %v, %v", text, got, ok, err)
		}
	}
	if _, ok, err := Address("unix://run/x"); !ok || err == nil {
		t.Error("a relative path")
	}
	if _, ok, _ := Address("https://x"); ok {
		t.Error("a cache is no daemon")
	}
}

// Whatever a daemon says, the client ends, and uses no more memory than it is sent.
func FuzzClient(f *testing.F) {
	hello := string(slices.Concat(number(helloDaemon), number(1<<8|34), text("2.8.0"), number(msgLast)))
	f.Add(hello+string(slices.Concat(number(msgLast), number(1), text("d"), text(strings.Repeat("00", 32)), texts([]string{path}), number(1), number(2), number(0), texts(nil), text(""))), byte(0))
	f.Add(hello+string(slices.Concat(number(msgError), text("Error"), number(0), text("e"), text("\x1b[1mno"), number(0), number(1), number(0), text("t"))), byte(1))
	f.Add(hello+string(slices.Concat(number(msgStart), number(0), number(0), number(0), text(""), number(1), number(1), text("x"), number(0), number(msgLast), number(1<<40))), byte(2))
	f.Add(hello+string(slices.Concat(number(msgRead), number(1<<62))), byte(4))
	f.Add(hello+string(slices.Concat(number(msgLast), number(1<<63))), byte(3))
	hosttest.Fuzz(f, func(t *testing.T, said string, op byte) {
		ctx := t.Context()
		c, err := Greet(ctx, recorded{strings.NewReader(said)})
		if err != nil {
			return
		}
		defer c.Close()
		switch op % 6 {
		case 0:
			if info, err := c.PathInfo(ctx, path); err == nil && info != nil && info.NARSize < 0 {
				t.Errorf("%+v", info)
			}
		case 1:
			err = c.AddTempRoot(ctx, path)
		case 2:
			_, err = c.ValidPaths(ctx, []string{path})
		case 3:
			_, err = c.AllPaths(ctx)
		case 4:
			err = c.Add(ctx, path, Info{}, true, write("archive"))
		default:
			err = c.Archive(ctx, path, 1<<40, io.Discard)
		}
		if err != nil && strings.ContainsRune(err.Error(), 0x1b) {
			t.Errorf("%q", err)
		}
	})
}
