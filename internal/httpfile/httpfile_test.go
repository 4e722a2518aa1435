package httpfile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"imprint/internal/hosttest"
)

// content is a file, reads of which fail from some offset on.
type content struct {
	text []byte
	good atomic.Int64
}

func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > c.good.Load() {
		return 0, errors.New("a bad block")
	}
	return copy(p, c.text[off:]), nil
}

// serve serves a file of 3 MB until the test ends, and returns its URL.
func serve(t *testing.T, c *content) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.text = bytes.Repeat([]byte("0123456789"), 300_000)
	c.good.Store(int64(len(c.text)))
	f := &File{Name: "a b.raw", Size: int64(len(c.text)), Content: c, Patience: time.Second, Failed: func() error { return nil }}
	f.Tag = func() (string, error) { return "abc", nil }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- f.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String() + f.Path()
}

func TestCurl(t *testing.T) {
	hosttest.Need(t, "curl")
	c := &content{}
	url := serve(t, c)
	if !strings.HasSuffix(url, "/a%20b.raw") {
		t.Error(url)
	}
	out := filepath.Join(t.TempDir(), "out")
	hosttest.Run(t, "curl", "-sSf", "-m", "30", "-o", out, url)
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, c.text) {
		t.Errorf("curl gets another file: %v", err)
	}
	if err := os.Truncate(out, 1_234_567); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "curl", "-sSf", "-m", "30", "-C", "-", "-o", out, url) // goes on
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, c.text) {
		t.Errorf("curl goes on with another file: %v", err)
	}
	head := hosttest.Run(t, "curl", "-sSfI", url)
	for _, want := range []string{"200 OK", "Content-Length: 3000000", `Etag: "abc"`, "Accept-Ranges: bytes", `filename="a b.raw"`} {
		if !strings.Contains(head, want) {
			t.Errorf("no %q in\n%s", want, head)
		}
	}
}

func TestRequests(t *testing.T) {
	url := serve(t, &content{})
	many := "bytes=" + strings.Repeat("0-1,", 1000) + "5-6"
	for _, test := range []struct {
		method, path string
		header       [2]string
		code         int
		body         string // its begin
		size         int64
	}{
		{"GET", "", [2]string{}, 200, "0123456789", 3_000_000},
		{"GET", "", [2]string{"Range", "bytes=15-18"}, 206, "5678", 4},
		{"GET", "", [2]string{"Range", "bytes=-3"}, 206, "789", 3},
		{"GET", "", [2]string{"Range", "bytes=3000000-"}, 416, "", -1},
		{"GET", "", [2]string{"Range", many}, 200, "0123456789", 3_000_000},
		{"HEAD", "", [2]string{}, 200, "", 3_000_000},
		{"GET", "", [2]string{"If-None-Match", `"abc"`}, 304, "", -1},
		{"GET", "", [2]string{"If-None-Match", `"other"`}, 200, "0123456789", 3_000_000},
		{"POST", "", [2]string{}, 405, "only GET and HEAD", -1},
		{"GET", "/../../etc/passwd", [2]string{}, 404, "", -1},
		{"GET", "/", [2]string{}, 200, "/a%20b.raw\n", -1},
	} {
		where := url
		if test.path != "" {
			where = strings.TrimSuffix(url, "/a%20b.raw") + test.path
		}
		r, err := http.NewRequest(test.method, where, nil)
		if err != nil {
			t.Fatal(err)
		}
		if test.header[0] != "" {
			r.Header.Set(test.header[0], test.header[1])
		}
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(got.Body)
		got.Body.Close()
		if err != nil || got.StatusCode != test.code || !strings.HasPrefix(string(body), test.body) || test.size >= 0 && got.ContentLength != test.size {
			t.Errorf("%v: %s, %d bytes, %.20q, %v", test, got.Status, got.ContentLength, body, err)
		}
	}
}

// A file that cannot be read to its end breaks the connection: the client must not take what it has for the whole.
func TestBadBlock(t *testing.T) {
	c := &content{}
	url := serve(t, c)
	c.good.Store(2_000_000)
	got, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if n, err := io.Copy(io.Discard, got.Body); err == nil || n > 2_000_000 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// Clients that do not send their request, or do not take the file, are not waited for.
func TestSlowClients(t *testing.T) {
	url := serve(t, &content{})
	host := strings.Split(url, "/")[2]
	c, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.(*net.TCPConn).SetReadBuffer(4096)
	for range 40 { // more than the buffers of both sides hold
		io.WriteString(c, "GET /a%20b.raw HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	time.Sleep(2500 * time.Millisecond)
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if n, _ := io.Copy(io.Discard, c); n > 39*3_000_000 {
		t.Errorf("%d bytes were sent to a client that did not take them", n)
	}
}
