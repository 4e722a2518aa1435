package nbd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"imprint/internal/hosttest"
)

func sumOf(p []byte) string { return fmt.Sprintf("%x", sha256.Sum256(p)) }

// words puts numbers of 2, 4 or 8 bytes and texts together.
func words(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case uint16:
			b = order.AppendUint16(b, p)
		case uint32:
			b = order.AppendUint32(b, p)
		case uint64:
			b = order.AppendUint64(b, p)
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

func optionOf(code uint32, data []byte) []byte {
	return words(uint64(magicOption), code, uint32(len(data)), data)
}

func requestOf(flags, command uint16, off uint64, size uint32) []byte {
	return words(uint32(magicRequest), flags, command, uint64(7), off, size)
}

var (
	hello = words(uint32(handshakeFixed | handshakeNoZeroes))
	goOn  = optionOf(optGo, words(uint32(0), uint16(0)))
)

// dial connects to a server.
func dial(t *testing.T, path string, send ...[]byte) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(bytes.Join(send, nil)); err != nil {
		t.Fatal(err)
	}
	return c
}

// A client that violates the protocol, or stalls, is disconnected; others do not notice.
func TestHostileClients(t *testing.T) {
	path := serve(t, newMemory(30))
	good := dial(t, path, hello, goOn)
	for what, send := range map[string][]byte{
		"nothing":               nil,
		"half of the flags":     hello[:2],
		"unknown flags":         words(uint32(1 << 5)),
		"old style":             words(uint32(0)),
		"no option":             append(hello, bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 4)...),
		"half of an option":     append(hello, goOn[:9]...),
		"a large option":        append(hello, words(uint64(magicOption), uint32(optGo), uint32(1<<31))...),
		"an option not sent":    append(hello, words(uint64(magicOption), uint32(optGo), uint32(1000))...),
		"options without end":   append(hello, bytes.Repeat(optionOf(77, nil), maxOptions+1)...),
		"another export":        append(hello, optionOf(optExportName, []byte("other"))...),
		"no request":            append(append(hello, goOn...), bytes.Repeat([]byte("x"), 28)...),
		"half of a request":     append(append(hello, goOn...), requestOf(0, cmdRead, 0, 512)[:20]...),
		"a large write":         append(append(hello, goOn...), requestOf(0, cmdWrite, 0, 1<<31)...),
		"a write that is short": append(append(hello, goOn...), requestOf(0, cmdWrite, 0, 4096)...),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := dial(t, path, send)
			if _, err := io.Copy(io.Discard, c); err != nil && !isReset(err) {
				t.Errorf("the server does not hang up: %v", err)
			}
		})
	}
	t.Run("good", func(t *testing.T) {
		if _, err := good.Write(requestOf(0, cmdDisconnect, 0, 0)); err != nil {
			t.Error(err)
		}
	})
}

func isReset(err error) bool {
	op, ok := err.(*net.OpError)
	return ok && !op.Timeout()
}

// A client that asks and does not take the answers loses its connection, and the server what it held for it.
func TestSlowClient(t *testing.T) {
	m := newMemory(5000)
	path := serve(t, m)
	slow := dial(t, path, hello, goOn)
	ask := requestOf(0, cmdRead, 0, 5000*block)
	start := time.Now()
	for {
		if _, err := slow.Write(ask); err != nil {
			break
		}
		if time.Since(start) > 9*time.Second {
			t.Fatal("the server goes on")
		}
	}
	var done [4]byte
	fast := dial(t, path, hello, optionOf(optExportName, nil), requestOf(0, cmdRead, 0, 4096))
	if _, err := io.ReadFull(fast, done[:]); err != nil {
		t.Error(err)
	}
}

// A client that takes nothing does not keep the server from ending.
func TestSlowClientAtTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- (&Server{Export: newMemory(5000), Patience: time.Hour}).Serve(ctx, l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write(bytes.Join([][]byte{hello, goOn, bytes.Repeat(requestOf(0, cmdRead, 0, 5000*block), 10)}, nil))
	time.Sleep(200 * time.Millisecond) // the buffers are full
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the server does not end")
	}
}

// A client that goes away in the middle of everything is forgotten.
func TestVanishedClients(t *testing.T) {
	path := serve(t, newMemory(5000))
	for range 50 {
		c := dial(t, path, hello, goOn, bytes.Repeat(requestOf(0, cmdRead, 0, 5000*block), 20))
		c.Close()
	}
	c := dial(t, path, hello, optionOf(optExportName, nil), requestOf(0, cmdRead, 0, block))
	got := make([]byte, 18+8+2+16+block)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[len(got)-block:], newMemory(1).data) {
		t.Error("the block has other bytes")
	}
}

// played is a client that sends a script and discards all replies.
type played struct {
	io.Reader
	out bytes.Buffer
}

func (p *played) Write(b []byte) (int, error)    { return p.out.Write(b) }
func (*played) SetReadDeadline(time.Time) error  { return nil }
func (*played) SetWriteDeadline(time.Time) error { return nil }

// FuzzTalk sends anything. The server answers with whole replies, of no more bytes than were asked for, and ends with the client.
func FuzzTalk(f *testing.F) {
	meta := words(uint32(0), uint32(1), uint32(len(contextName)), contextName)
	for _, seed := range [][]byte{
		nil, hello, append(hello, goOn...),
		bytes.Join([][]byte{hello, optionOf(optList, nil), optionOf(optInfo, words(uint32(4), "disk", uint16(2), uint16(infoName), uint16(infoBlockSize)))}, nil),
		bytes.Join([][]byte{hello, optionOf(optStructuredReply, nil), optionOf(optListMeta, words(uint32(0), uint32(0))), optionOf(optSetMeta, meta), goOn,
			requestOf(0, cmdRead, 10, 9000), requestOf(0, cmdBlockStatus, 0, 5*block), requestOf(cmdFlagDF, cmdRead, 0, 100)}, nil),
		bytes.Join([][]byte{hello, optionOf(optExportName, nil), requestOf(0, cmdWrite, 5, 4), []byte("abcd"), requestOf(cmdFlagFUA, cmdWriteZeroes, 1, 5000),
			requestOf(0, cmdTrim, 0, 4096), requestOf(0, cmdFlush, 0, 0), requestOf(0, cmdDisconnect, 0, 0)}, nil),
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	m := newMemory(5)
	hosttest.Fuzz(f, func(t *testing.T, sent []byte, write bool) {
		if len(sent) > 1<<16 {
			return
		}
		var e Export = m
		if write {
			e = writable{m}
		}
		c := &played{Reader: bytes.NewReader(sent)}
		if err := (&Server{Name: "disk", Export: e}).Talk(t.Context(), c); err == nil && len(sent) < 4 {
			t.Error("a client that said nothing has left in good order")
		}
		out := c.out.Bytes()
		if !bytes.HasPrefix(out, words(uint64(magicServer), uint64(magicOption))) || len(out) > 18+len(sent)*5*block {
			t.Errorf("%d bytes sent for %d: %.40q", len(out), len(sent), out)
		}
	})
}
